//! Which runtimes the folders of a root speak for, to help whoever named none.

use super::roots::RootView;
use crate::runtime::{Family, Runtime};

/// How many runtimes are suggested where a folder names a language but no version of it.
const WITHOUT_VERSION: usize = 2;

/// The runtimes that the folders of a root imply, the likeliest first; none when they say nothing.
///
/// A folder with a version implies exactly that one (`python/lib/python3.12`, `nodejs/node20`,
/// `ruby/gems/3.3.0`); one without (`python`, `java/lib`) implies the newest supported of the language.
pub fn implied_runtimes(root: &dyn RootView) -> Vec<&'static Runtime> {
    let versioned = Runtime::all()
        .iter()
        .rev()
        .filter(|runtime| names_version(root, runtime));
    let mut implied: Vec<&'static Runtime> = versioned.collect();
    for (folder, family) in [
        ("python", Family::Python),
        ("nodejs", Family::Node),
        ("java/lib", Family::Java),
        ("ruby", Family::Ruby),
        ("dotnetcore/store", Family::Dotnet),
    ] {
        let is_known = implied.iter().any(|runtime| runtime.family == family);
        if !is_known && root.is_directory(folder.as_bytes()) {
            implied.extend(Runtime::supported(family).take(WITHOUT_VERSION));
        }
    }
    // A bootstrap in a layer is a runtime of its own, which only OS-only functions start.
    if implied.is_empty() && root.names_in(b"").iter().any(|name| name == b"bootstrap") {
        implied.extend(Runtime::supported(Family::Provided).take(1));
    }
    implied
}

/// Whether the root has the folder that carries the runtime's version.
fn names_version(root: &dyn RootView, runtime: &Runtime) -> bool {
    let version = runtime.version;
    let folder = match runtime.family {
        Family::Python => format!("python/lib/python{version}"),
        Family::Node => format!("nodejs/node{version}"),
        Family::Ruby => format!("ruby/gems/{version}.0"),
        Family::Java | Family::Dotnet | Family::Go | Family::Provided => return false,
    };
    root.is_directory(folder.as_bytes())
}
