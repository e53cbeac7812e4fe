//! `require('x')`, as the `CommonJS` loader of Node.js resolves it in the folders of `NODE_PATH`.
//!
//! The steps are those of the Node.js documentation, *Modules: `CommonJS` modules*, "All together", and *Modules: Packages*,
//! "Package entry points"; where it is silent, `Module._findPath` decides.

use super::resolution::{Obstacle, Resolution};
use super::search::Search;
use super::view::{Hit, View, join};
use crate::merge::MergedTree;
use crate::packages::{Ecosystem, Fact, Facts, Manifest, Value, searched};
use crate::path::LayerPath;
use crate::runtime::Runtime;

/// The modules of Node.js itself (`module.builtinModules` without those that only `node:` reaches): `require` never searches
/// for them.
const BUILT_IN: [&str; 42] = [
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];
/// Those that lie below one of them.
const BUILT_IN_BELOW: [&str; 13] = [
    "assert/strict",
    "dns/promises",
    "fs/promises",
    "inspector/promises",
    "path/posix",
    "path/win32",
    "readline/promises",
    "stream/consumers",
    "stream/promises",
    "stream/web",
    "timers/promises",
    "util/types",
    "test/reporters",
];

/// How one folder answers.
enum Answer {
    Found(Hit),
    /// The search goes on in the next folder.
    Absent,
    /// The search ends here, in vain.
    Stopped(Obstacle),
}

pub(super) fn resolve(
    tree: &MergedTree<'_>,
    facts: &Facts,
    runtime: &Runtime,
    name: &str,
) -> Resolution {
    let mut search = Search::new(tree, Ecosystem::Node);
    if name.starts_with("node:") || BUILT_IN.contains(&name) || BUILT_IN_BELOW.contains(&name) {
        search.obstacle = Some(Obstacle::BuiltIn);
    }
    if name.is_empty() || name.starts_with(['/', '.']) {
        return search.done();
    }
    let folders = searched(tree, runtime, "NODE_PATH");
    let conditions = conditions(runtime);
    if search.obstacle.is_none() {
        for folder in &folders {
            match Request::new(View::Merged(tree), facts, conditions, name).answer(folder) {
                Answer::Found(hit) => search.resolved.push(hit.origin),
                Answer::Stopped(obstacle) => search.obstacle = Some(obstacle),
                Answer::Absent => continue,
            }
            break;
        }
    }
    for folder in &folders {
        search.folder(folder, |view| {
            let request = Request::new(view, facts, conditions, name);
            match request.answer(folder) {
                Answer::Found(hit) => Some(hit),
                Answer::Absent | Answer::Stopped(_) => None,
            }
        });
    }
    search.done()
}

/// The conditions of `exports` that hold for `require`. Lambda switches the loading of ES modules by `require` off before
/// Node.js 24, and with it `module-sync`.
fn conditions(runtime: &Runtime) -> &'static [&'static str] {
    let version: u32 = runtime.version.parse().unwrap_or(0);
    if version >= 24 {
        &["node", "require", "module-sync", "node-addons", "default"]
    } else {
        &["node", "require", "node-addons", "default"]
    }
}

/// The name of the package in a request, and what follows it, with its `/`.
fn split(request: &str) -> Option<(&str, &str)> {
    let start = if request.starts_with('@') {
        request.find('/')? + 1
    } else {
        0
    };
    let after = request.get(start..)?;
    let end = start + after.find('/').unwrap_or(after.len());
    request.split_at_checked(end)
}

#[derive(Clone, Copy)]
struct Request<'r, 'v, 's> {
    view: View<'v, 's>,
    facts: &'r Facts,
    conditions: &'static [&'static str],
    name: &'r str,
}

impl<'r, 'v, 's> Request<'r, 'v, 's> {
    const fn new(
        view: View<'v, 's>,
        facts: &'r Facts,
        conditions: &'static [&'static str],
        name: &'r str,
    ) -> Self {
        Self {
            view,
            facts,
            conditions,
            name,
        }
    }

    fn answer(&self, folder: &LayerPath) -> Answer {
        match self.try_folder(folder) {
            Ok(Some(hit)) => Answer::Found(hit),
            Ok(None) => Answer::Absent,
            Err(obstacle) => Answer::Stopped(obstacle),
        }
    }

    fn try_folder(&self, folder: &LayerPath) -> Result<Option<Hit>, Obstacle> {
        if let Some((package, rest)) = split(self.name) {
            let home = join(folder, package);
            let manifest = self.manifest(&home)?;
            if let Some(exports) = manifest.and_then(|manifest| manifest.exports.as_ref()) {
                let package = LayerPath::parse(&home).unwrap_or_default();
                let Some(target) = self.exported(exports, &format!(".{rest}")) else {
                    return Err(Obstacle::NotExported { package });
                };
                let file = [&home, &b"/"[..], target.as_bytes()].concat();
                let found = self.view.file(&file);
                return found.map_or(Err(Obstacle::NotInPackage { package }), |hit| Ok(Some(hit)));
            }
        }
        let path = join(folder, self.name);
        if !self.name.ends_with('/')
            && let Some(found) = self.as_file(&path)
        {
            return Ok(Some(found));
        }
        self.as_directory(&path)
    }

    /// `LOAD_AS_FILE`.
    fn as_file(&self, path: &[u8]) -> Option<Hit> {
        self.view.file(path).or_else(|| self.with_ending(path))
    }

    fn with_ending(&self, path: &[u8]) -> Option<Hit> {
        let endings = [&b".js"[..], b".json", b".node"].into_iter();
        endings
            .map(|ending| [path, ending].concat())
            .find_map(|path| self.view.file(&path))
    }

    /// `LOAD_AS_DIRECTORY`.
    fn as_directory(&self, path: &[u8]) -> Result<Option<Hit>, Obstacle> {
        if self.view.directory(path).is_none() {
            return Ok(None);
        }
        let main = self
            .manifest(path)?
            .and_then(|manifest| manifest.main.as_deref());
        let index = || self.with_ending(&[path, b"/index"].concat());
        let Some(main) = main.filter(|main| !main.is_empty()) else {
            return Ok(index());
        };
        let target = [path, b"/", main.as_bytes()].concat();
        let found = self
            .as_file(&target)
            .or_else(|| self.with_ending(&[&target, &b"/index"[..]].concat()))
            .or_else(index);
        // A `main` that leads nowhere is an error, whatever other folders have.
        found.map_or_else(
            || {
                Err(Obstacle::NotInPackage {
                    package: LayerPath::parse(path).unwrap_or_default(),
                })
            },
            |hit| Ok(Some(hit)),
        )
    }

    /// The `package.json` of a directory, if it has one.
    fn manifest(&self, directory: &[u8]) -> Result<Option<&Manifest>, Obstacle> {
        let Some(file) = self.view.file(&[directory, b"/package.json"].concat()) else {
            return Ok(None);
        };
        match self.facts.get(&file.origin) {
            Some(Fact::Manifest(manifest)) => Ok(Some(manifest)),
            _ => Err(Obstacle::NotJson {
                package: LayerPath::parse(directory).unwrap_or_default(),
            }),
        }
    }

    /// `PACKAGE_EXPORTS_RESOLVE`: what a subpath (`.` or `./x`) is exported as, without the `./` before it.
    fn exported(&self, exports: &Value, subpath: &str) -> Option<String> {
        let subpaths = match exports {
            Value::Object(members) if members.iter().any(|(key, _)| key.starts_with('.')) => {
                members
            }
            // Anything else is what the package itself is.
            main => {
                return (subpath == ".").then(|| self.target(main, None))?;
            }
        };
        if !subpath.contains('*')
            && !subpath.ends_with('/')
            && let Some(target) = exports.get(subpath)
        {
            return self.target(target, None);
        }
        // Of several patterns the one with the longest part before its `*` decides, and of these the longest.
        let patterns = subpaths.iter().filter_map(|(key, target)| {
            let (before, after) = key.split_once('*')?;
            let matched = subpath.strip_prefix(before)?.strip_suffix(after)?;
            let is_match = !after.contains('*') && !matched.is_empty();
            is_match.then_some(((before.len(), key.len()), target, matched))
        });
        let (_, target, matched) = patterns.max_by_key(|(rank, ..)| *rank)?;
        self.target(target, Some(matched))
    }

    /// `PACKAGE_TARGET_RESOLVE`.
    fn target(&self, target: &Value, matched: Option<&str>) -> Option<String> {
        match target {
            Value::String(target) => {
                let target = target.strip_prefix("./")?;
                let is_inside = |path: &str| {
                    path.split(['/', '\\'])
                        .all(|part| !matches!(part, "." | ".." | "node_modules"))
                };
                if !is_inside(target) || !matched.is_none_or(is_inside) {
                    return None;
                }
                Some(match matched {
                    Some(matched) => target.replace('*', matched),
                    None => target.to_owned(),
                })
            }
            Value::Object(members) => {
                // A condition that leads nowhere lets the next one try; one that is null ends it.
                for (condition, target) in members {
                    if self.conditions.contains(&condition.as_str()) {
                        match target {
                            Value::Null => return None,
                            _ => match self.target(target, matched) {
                                Some(found) => return Some(found),
                                None if matches!(target, Value::Object(_)) => {}
                                None => return None,
                            },
                        }
                    }
                }
                None
            }
            Value::Array(targets) => targets
                .iter()
                .find_map(|target| self.target(target, matched)),
            Value::Null | Value::Bool(_) | Value::Number => None,
        }
    }
}
