//! ES modules in layers, which older runtimes do not find.

use super::facts::FileFacts;
use super::{Rule, Severity};
use crate::path::{Escaped, LayerPath};
use crate::runtime::Family;

/// The first version of Node.js whose runtime finds ES modules in layers.
const FIRST_WITH: u32 = 18;

pub(super) static ES_MODULE_NOT_FOUND: Rule = Rule {
    id: "es-module-not-found",
    severity: Severity::Error,
    summary: "packages that can only be imported, in a layer where `import` does not look",
    explanation: "\
Node.js ignores NODE_PATH for `import`. \"For Node.js runtimes 16 and earlier, Lambda doesn't support layered JavaScript ES module \
dependencies\" (AWS re:Post, \"Lambda: import module error, Node.js\"); nodejs18.x and later do search the layers. A package that offers no \
`require` either cannot be used from a layer there, except by its whole path or by another package of the layer.",
    says: Some("Error [ERR_MODULE_NOT_FOUND]: Cannot find package '...'"),
    cure: "use nodejs18.x or later, put the package into the function, or import it as `/opt/nodejs/node_modules/NAME/...`",
    needs_runtime: true,
    judge: |subject, findings| {
        let Some(runtime) = subject
            .runtime
            .filter(|runtime| runtime.family == Family::Node)
        else {
            return;
        };
        let version: u32 = runtime.version.parse().unwrap_or(FIRST_WITH);
        if version >= FIRST_WITH {
            return;
        }
        let own = format!("nodejs/node{version}/node_modules");
        for file in subject.regular_files() {
            if subject.facts(file.origin) != Some(&FileFacts::EsModulePackage) {
                continue;
            }
            if let Some(name) = package(&file.path, &["nodejs/node_modules", &own]) {
                let name = Escaped(name);
                let message = format!(
                    "`{name}` cannot be required, and {} does not import it",
                    runtime.identifier
                );
                findings.at(file, message);
            }
        }
    },
};

/// The name of the package whose `package.json` this is, directly in one of these folders.
fn package<'p>(path: &'p LayerPath, folders: &[&str]) -> Option<&'p [u8]> {
    let below = folders.iter().find_map(|folder| {
        path.as_bytes()
            .strip_prefix(folder.as_bytes())?
            .strip_prefix(b"/")
    })?;
    let name = below.strip_suffix(b"/package.json")?;
    let levels = name.split(|&byte| byte == b'/').count();
    let expected = if name.starts_with(b"@") { 2 } else { 1 };
    (levels == expected).then_some(name)
}
