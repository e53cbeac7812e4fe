//! What variables alone cannot tell a stock interpreter: that Lambda runs the `.pth` files of layer directories, and that its
//! Node.js, from 18 on, finds ES modules through `NODE_PATH`.
//!
//! Each gap is closed by one file of ours that the interpreter loads first, and that a person can read. The files lie in a
//! directory of their own, never in the root. They are for stock interpreters: AWS's own bootstraps need none.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use super::assignment::Assignment;
use super::variables::{Beginning, Environment, Presence, SearchEntry, Variable, joined};
use crate::runtime::{Family, Runtime};

/// One file, by its path in the directory of hooks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Hook {
    /// Below the directory of hooks.
    pub path: &'static str,
    /// All of it.
    pub content: &'static str,
}

/// The files that the directory of hooks must hold.
pub const HOOKS: [Hook; 2] = [
    Hook {
        path: "python/sitecustomize.py",
        content: include_str!("hooks/sitecustomize.py"),
    },
    Hook {
        path: "node/import.cjs",
        content: include_str!("hooks/import.cjs"),
    },
];

/// The first Node.js whose runtime finds ES modules in layers.
const NODE_THAT_IMPORTS: u32 = 18;

/// What the hooks are told by the caller.
#[derive(Clone, Copy, Debug)]
pub struct HookRequest<'a> {
    /// The runtime whose interpreter is to be hooked.
    pub runtime: &'static Runtime,
    /// Where [`HOOKS`] lie: absolute, without `:`.
    pub directory: &'a Path,
    /// The caller's `NODE_OPTIONS`, which are kept.
    pub node_options: Option<&'a std::ffi::OsStr>,
    /// What the function is configured with: who sets `PYTHONPATH` gets no layers on Lambda either.
    pub configuration: &'a [Assignment],
    /// What is set over everything else, and is left as it is.
    pub overrides: &'a [Assignment],
}

impl Environment {
    /// Adds to an environment for a host what loads the hooks.
    pub fn add_hooks(&mut self, request: &HookRequest<'_>) {
        let sets =
            |assignments: &[Assignment], name: &str| assignments.iter().any(|one| one.names(name));
        match request.runtime.family {
            Family::Python
                if !sets(request.configuration, "PYTHONPATH")
                    && !sets(request.overrides, "PYTHONPATH") =>
            {
                self.add_python_hook(request.directory);
            }
            Family::Node
                if needs_hooks(request.runtime) && !sets(request.overrides, "NODE_OPTIONS") =>
            {
                self.add_node_hook(request);
            }
            _ => {}
        }
    }

    fn add_python_hook(&mut self, directory: &Path) {
        let Some(path) = self
            .variables
            .iter_mut()
            .find(|variable| variable.name == "PYTHONPATH")
        else {
            return;
        };
        let sites = path.value.clone();
        path.entries.insert(
            0,
            SearchEntry {
                directory: directory.join("python").into_os_string(),
                rule: "the hook that runs the .pth files of the others, as Lambda does",
                presence: Presence::Present,
                provided_by: Vec::new(),
            },
        );
        path.value = joined(&path.entries);
        self.put(Variable {
            name: "SLASHOPT_SITE_DIRECTORIES".into(),
            value: sites,
            rule: "what the hook gives to site.addsitedir(), in Lambda's order",
            entries: Vec::new(),
            beginning: Beginning::Fresh,
        });
    }

    fn add_node_hook(&mut self, request: &HookRequest<'_>) {
        let file = request.directory.join("node/import.cjs");
        // The only escapes that Node.js knows in this variable are those within double quotes.
        let mut quoted = Vec::from(b"--require=\"".as_slice());
        for &byte in file.as_os_str().as_bytes() {
            if matches!(byte, b'"' | b'\\') {
                quoted.push(b'\\');
            }
            quoted.push(byte);
        }
        quoted.push(b'"');
        let before = self.value("NODE_OPTIONS").or(request.node_options);
        let mut value = before.map_or_else(Vec::new, |options| options.as_bytes().to_vec());
        if !value.is_empty() {
            value.push(b' ');
        }
        value.extend(quoted);
        self.put(Variable {
            name: "NODE_OPTIONS".into(),
            value: OsString::from_vec(value),
            rule: "the hook that lets import find layers, as Lambda's Node.js does, after what was set",
            entries: Vec::new(),
            beginning: Beginning::Fresh,
        });
    }
}

/// Whether a stock interpreter of this runtime's language lacks what a hook gives.
pub fn needs_hooks(runtime: &Runtime) -> bool {
    match runtime.family {
        Family::Python => true,
        Family::Node => major(runtime) >= NODE_THAT_IMPORTS,
        _ => false,
    }
}

/// The first number of a runtime's version.
fn major(runtime: &Runtime) -> u32 {
    let digits = runtime.version.split('.').next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn hooked(
        runtime: &str,
        variable: (&str, &str),
        node_options: Option<&str>,
        configuration: &[&str],
    ) -> Environment {
        let assigned = |text: &&str| Assignment::parse(OsStr::new(text)).ok();
        let configuration: Vec<Assignment> = configuration.iter().filter_map(assigned).collect();
        let mut environment = Environment::default();
        environment.put(Variable {
            name: variable.0.into(),
            value: variable.1.into(),
            rule: "",
            entries: vec![SearchEntry {
                directory: variable.1.into(),
                rule: "",
                presence: Presence::Present,
                provided_by: Vec::new(),
            }],
            beginning: Beginning::Fresh,
        });
        if let Ok(runtime) = Runtime::find(runtime) {
            environment.add_hooks(&HookRequest {
                runtime,
                directory: Path::new("/cache/a \"b\\c/hooks"),
                node_options: node_options.map(OsStr::new),
                configuration: &configuration,
                overrides: &[],
            });
        }
        environment
    }

    #[test]
    fn the_site_hook_stands_first_and_is_told_the_others() {
        let path = ("PYTHONPATH", "/opt/python");
        let environment = hooked("python3.12", path, None, &[]);
        let value = |name| environment.value(name).and_then(OsStr::to_str);
        assert_eq!(
            value("PYTHONPATH"),
            Some("/cache/a \"b\\c/hooks/python:/opt/python")
        );
        assert_eq!(value("SLASHOPT_SITE_DIRECTORIES"), Some("/opt/python"));
    }

    #[test]
    fn who_sets_pythonpath_gets_no_layers_as_on_lambda() {
        let path = ("PYTHONPATH", "/mine");
        let environment = hooked("python3.12", path, None, &["PYTHONPATH=/mine"]);
        assert_eq!(environment.variables.len(), 1);
    }

    #[test]
    fn node_options_are_appended_to_and_the_path_is_quoted() {
        let path = ("NODE_PATH", "/opt/nodejs/node_modules");
        let environment = hooked("nodejs22.x", path, Some("--no-deprecation"), &[]);
        assert_eq!(
            environment.value("NODE_OPTIONS").and_then(OsStr::to_str),
            Some(r#"--no-deprecation --require="/cache/a \"b\\c/hooks/node/import.cjs""#)
        );
    }

    #[test]
    fn a_node_that_does_not_import_from_layers_on_lambda_does_not_here() {
        let path = ("NODE_PATH", "/opt/nodejs/node_modules");
        let environment = hooked("nodejs16.x", path, None, &[]);
        assert_eq!(environment.value("NODE_OPTIONS"), None);
    }
}
