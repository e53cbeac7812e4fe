//! Root file systems with nothing in them but the programs that are put there.

use std::fs;
use std::path::Path;

use super::machine::tool;

/// Copies a program into a root file system, with the libraries that it was linked with; says that the test is left out if these
/// cannot be found.
pub(crate) fn install(root: &Path, program: impl AsRef<Path>, name: &str) -> Option<()> {
    let installed = copy_with_libraries(root, program.as_ref(), name);
    if installed.is_none() {
        let program = program.as_ref().display();
        eprintln!("skipped: `{program}` or its libraries cannot be found");
    }
    installed
}

fn copy_with_libraries(root: &Path, program: &Path, name: &str) -> Option<()> {
    let listed = tool("ldd").arg(program).output().ok()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let libraries = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(|library| (Path::new(library), library.trim_start_matches('/')));
    for (from, to) in libraries.chain([(program, name)]) {
        let to = root.join(to);
        fs::create_dir_all(to.parent()?).ok()?;
        // By another process: a descriptor of ours that may write it would be inherited by whatever another test starts at that
        // moment, and a file that somebody may write cannot be executed.
        let copied = tool("cp").args([from, &to]).status().ok()?;
        copied.success().then_some(())?;
    }
    Some(())
}
