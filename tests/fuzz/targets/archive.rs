//! Any bytes as an archive: never a panic; what is accepted strictly is accepted leniently and says the same; and another
//! reader finds the same names and contents in it.
#![no_main]

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use libfuzzer_sys::fuzz_target;
use slashopt::archive::Strictness;
use slashopt::entry::Kind;
use slashopt::host::system::budget::Budget;
use slashopt::host::read::entry::Reader;
use slashopt::host::read::input::LayerInput;
use slashopt::host::read::options::LoadOptions;
use slashopt::host::read::stack::LoadedStack;
use slashopt::merge::{LinkedDirectory, MergedTree};
use slashopt::plan::Limits;

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fuzz_target!(|bytes: &[u8]| {
    let strict = contents(bytes, Strictness::Strict);
    let lenient = contents(bytes, Strictness::Lenient);
    let Some(strict) = strict else { return };
    assert_eq!(Some(&strict), lenient.as_ref(), "strict and lenient differ");
    let judge = judged_by_the_zip_crate(bytes);
    for (path, content) in &strict {
        if let Some(other) = judge.get(path) {
            assert_eq!(other, content, "readers differ on {}", String::from_utf8_lossy(path));
        }
    }
});

/// Every file of an archive that is accepted with all its contents.
fn contents(bytes: &[u8], strictness: Strictness) -> Option<Contents> {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").expect("a file in memory");
    file.write_all(bytes).expect("written");
    let limits = Limits { max_bytes: 1 << 20, max_entries: 1000 };
    let input = LayerInput::Path(file.path().to_path_buf());
    // So small that large entries stream.
    let budget = Budget::new(1 << 20);
    let loaded = LoadedStack::load(&[input], LoadOptions { strictness, limits, cache: None }, &budget).ok()?;
    let tree = MergedTree::merge(&loaded.stack, LinkedDirectory::Replace);
    let mut reader = Reader::new(&budget);
    let mut found = Contents::new();
    let mut is_sound = true;
    tree.walk(|path, node| {
        assert!(!path.as_bytes().starts_with(b"/") && path.components().all(|component| component != b".."));
        if tree.kind(node) != Kind::File {
            return;
        }
        let mut content = Vec::new();
        let read = reader.read(&loaded, tree.provider(node), |bytes| {
            content.extend_from_slice(bytes);
            Ok(())
        });
        is_sound &= read.is_ok();
        found.insert(path.as_bytes().to_vec(), content);
    });
    is_sound.then_some(found)
}

fn judged_by_the_zip_crate(bytes: &[u8]) -> Contents {
    let mut found = Contents::new();
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("it opens what we accept");
    for index in 0..archive.len() {
        let Ok(mut entry) = archive.by_index(index) else { continue };
        if !entry.is_file() {
            continue;
        }
        let name = entry.name_raw().split(|&byte| byte == b'/');
        let name: Vec<&[u8]> = name.filter(|component| !component.is_empty() && *component != b".").collect();
        let name = name.join(&b'/');
        let mut content = Vec::new();
        if entry.read_to_end(&mut content).is_ok() {
            found.insert(name, content);
        }
    }
    found
}
