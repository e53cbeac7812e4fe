//! Search paths for stock interpreters on a host: Lambda's order, and only what is there.
//!
//! On the service a bootstrap, a class loader or a patched interpreter does part of the search; stock
//! ones know only variables. So the order below is the order in which Lambda finds things, not the text
//! of its variables: function before layers for Python, Ruby and Java, and for Node.js layers before the
//! function's own directory, whose `node_modules` Node.js searches before any `NODE_PATH`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use super::request::Request;
use super::roots::Roots;
use super::variables::{
    Beginning, Environment, LeftOut, LeftOutReason, Presence, SearchEntry, Variable, elements,
    joined,
};
use crate::runtime::{Family, Runtime, SearchedFolder};

const CALLERS_OWN: &str = "the caller's own, first";
const LOADERS_OWN: &str = "this machine's loader looks here by itself; a layer never shadows it";
const FUNCTION: &str = "the function's code";

/// The defaults for a host.
pub(super) fn defaults(request: &Request<'_>, roots: &Roots<'_>) -> Environment {
    let mut host = Host {
        environment: Environment::default(),
        request,
        roots,
    };
    host.commands();
    host.libraries();
    if let Some(runtime) = request.runtime {
        host.interpreter(runtime);
    }
    host.environment
}

struct Host<'a> {
    environment: Environment,
    request: &'a Request<'a>,
    roots: &'a Roots<'a>,
}

impl Host<'_> {
    /// `PATH`: the caller's, then the layers' commands, which therefore shadow nothing.
    fn commands(&mut self) {
        let layers = self.layer_folder("PATH", "bin", "the layers' commands, last");
        self.extend_callers(
            "PATH",
            "the caller's commands, then the layers': a layer never shadows a command",
            Vec::from_iter(layers),
        );
    }

    /// `LD_LIBRARY_PATH`: the caller's, the loader's own directories, the function's, the layers'.
    ///
    /// The loader searches this variable before its own directories. Were those not named in it, a
    /// `libcrypto.so.3` in a layer would replace the system's in every program that starts, which cannot
    /// happen on Lambda. Naming one has a price: a program's own `RUNPATH` comes after it, so that an
    /// interpreter which was built elsewhere may get the system's `libpython`. Only a directory that
    /// holds a library of the same name as one of the function's or the layers' is worth that.
    fn libraries(&mut self) {
        const NAME: &str = "LD_LIBRARY_PATH";
        let Roots { opt, task } = self.roots;
        let functions = [
            task.entry(b"", FUNCTION),
            task.entry(b"lib", "the function's libraries"),
        ];
        let is_wanted = functions
            .iter()
            .any(|entry| entry.presence == Presence::Present)
            || opt.holds.is_directory(b"lib");
        if !is_wanted {
            let directories = functions.into_iter().map(|entry| entry.directory);
            self.environment
                .left_out
                .extend(
                    directories
                        .chain([opt.join(b"lib")])
                        .map(|directory| LeftOut {
                            variable: NAME,
                            directory,
                            reason: LeftOutReason::NothingToFind,
                        }),
                );
            return;
        }
        let libraries = self.names_of_libraries();
        let is_on_this_machine = self.request.is_on_this_machine;
        // Whether one of them would take the place of one in this directory of the loader's.
        let is_threatened = |directory: &PathBuf| {
            let mut names = libraries.iter();
            names.any(|name| is_on_this_machine(&directory.join(name)))
        };
        let loaders = if libraries.is_empty() {
            Vec::new()
        } else {
            (self.request.loader_directories)()
        };
        let loaders = loaders
            .into_iter()
            .filter(is_threatened)
            .map(|directory| SearchEntry {
                directory: directory.into_os_string(),
                rule: LOADERS_OWN,
                presence: Presence::Present,
                provided_by: Vec::new(),
            });
        let mut entries: Vec<SearchEntry> = loaders.chain(functions).collect();
        entries.extend(self.layer_folder(NAME, "lib", "the layers' libraries, last"));
        self.extend_callers(
            NAME,
            "the caller's, the system's, the function's, the layers': none shadows one before it",
            entries,
        );
    }

    /// What the libraries of the function and the layers are called.
    fn names_of_libraries(&self) -> Vec<OsString> {
        let Roots { opt, task } = self.roots;
        let folders = [
            task.holds.names_in(b""),
            task.holds.names_in(b"lib"),
            opt.holds.names_in(b"lib"),
        ];
        folders
            .into_iter()
            .flatten()
            .filter(|name| name.windows(3).any(|part| part == b".so"))
            .map(OsString::from_vec)
            .collect()
    }

    /// The variables through which the runtime's interpreter searches.
    fn interpreter(&mut self, runtime: &Runtime) {
        let task = &self.roots.task;
        match runtime.family {
            Family::Python => {
                let mut entries = vec![task.entry(b"", FUNCTION)];
                entries.extend(self.layer_folders(runtime, "PYTHONPATH"));
                self.fresh(
                    "PYTHONPATH",
                    "Lambda's order of sys.path, without its runtime",
                    entries,
                );
            }
            Family::Node => {
                let mut entries = self.layer_folders(runtime, "NODE_PATH");
                entries.push(task.entry(b"", FUNCTION));
                self.fresh(
                    "NODE_PATH",
                    "Lambda's order for require(), after node_modules beside the code; \
                     a stock node ignores it for import",
                    entries,
                );
            }
            Family::Java => self.class_path(),
            Family::Ruby => self.ruby(runtime),
            Family::Dotnet | Family::Go | Family::Provided => {}
        }
    }

    /// `CLASSPATH`: what Lambda's class loader searches, in its order: the task root, then its jars, then
    /// the layers' jars, each group sorted.
    fn class_path(&mut self) {
        let task = &self.roots.task;
        let mut classes = task.entry(b"", "the function's classes");
        if !classes.directory.as_bytes().ends_with(b"/") {
            classes.directory.push("/");
        }
        let mut entries = vec![classes];
        entries.extend(self.jars(Group::Function));
        entries.extend(self.jars(Group::Layers));
        self.fresh(
            "CLASSPATH",
            "Lambda's class loader: classes, the function's jars, the layers' jars, each sorted",
            entries,
        );
    }

    /// The jars of one group. The rules are those of `CustomerClassLoader` in AWS's
    /// `aws-lambda-java-runtime-interface-client`: directly in the directory, `.jar` in lower case behind
    /// at least one letter, in the order of Java's `String`.
    fn jars(&mut self, group: Group) -> Vec<SearchEntry> {
        let (place, folder, rule) = match group {
            Group::Function => (&self.roots.task, "lib", "a jar of the function"),
            Group::Layers => (&self.roots.opt, "java/lib", "a jar of the layers"),
        };
        let mut names = place.holds.names_in(folder.as_bytes());
        names.retain(|name| name.len() > ".jar".len() && name.ends_with(b".jar"));
        names.sort_by_cached_key(|name| java_order(name));
        let mut jars = Vec::with_capacity(names.len());
        for name in names {
            let path = [folder.as_bytes(), b"/", &name].concat();
            let directory = place.join(&path);
            if name.contains(&b':') {
                self.environment.left_out.push(LeftOut {
                    variable: "CLASSPATH",
                    directory,
                    reason: LeftOutReason::ColonInName,
                });
            } else {
                let provided_by = place.holds.provided_by(&path);
                jars.push(SearchEntry {
                    directory,
                    rule,
                    presence: Presence::Present,
                    provided_by,
                });
            }
        }
        if matches!(group, Group::Layers) && !place.holds.is_directory(folder.as_bytes()) {
            self.left_out("CLASSPATH", folder);
        }
        jars
    }

    /// `GEM_PATH` and `RUBYLIB`.
    fn ruby(&mut self, runtime: &Runtime) {
        let task = &self.roots.task;
        let bundle = format!("vendor/bundle/ruby/{}.0", runtime.version);
        let mut gems = vec![task.entry(bundle.as_bytes(), "the function's bundle")];
        gems.extend(self.layer_folders(runtime, "GEM_PATH"));
        self.fresh(
            "GEM_PATH",
            "Lambda's order of gems; the `:` at the end keeps RubyGems' own after them",
            gems,
        );
        if let Some(variable) = self.environment.variables.last_mut() {
            variable.value.push(":");
        }
        let mut libraries = vec![task.entry(b"", FUNCTION)];
        libraries.extend(self.layer_folders(runtime, "RUBYLIB"));
        self.fresh(
            "RUBYLIB",
            "Lambda's order of the load path, without its runtime",
            libraries,
        );
    }

    /// The folders that AWS's table names for this variable, as far as the root has them.
    fn layer_folders(&mut self, runtime: &Runtime, variable: &'static str) -> Vec<SearchEntry> {
        let folders = runtime.searched_folders().into_iter();
        folders
            .filter(|folder| folder.variable == variable)
            .filter_map(|SearchedFolder { folder, .. }| {
                self.layer_folder(variable, &folder, "the layers")
            })
            .collect()
    }

    fn layer_folder(
        &mut self,
        variable: &'static str,
        folder: &str,
        rule: &'static str,
    ) -> Option<SearchEntry> {
        let entry = self.roots.opt.entry(folder.as_bytes(), rule);
        if entry.presence == Presence::Present {
            return Some(entry);
        }
        self.left_out(variable, folder);
        None
    }

    fn left_out(&mut self, variable: &'static str, folder: &str) {
        let directory = self.roots.opt.join(folder.as_bytes());
        let reason = LeftOutReason::Missing;
        self.environment.left_out.push(LeftOut {
            variable,
            directory,
            reason,
        });
    }

    /// Adds entries behind the value that the caller has. What the caller lists already stays where it
    /// is, and gets the explanation of the entry that it makes needless.
    fn extend_callers(&mut self, name: &str, rule: &'static str, added: Vec<SearchEntry>) {
        let callers = self
            .request
            .caller
            .value(name)
            .into_iter()
            .flat_map(elements);
        let mut entries: Vec<SearchEntry> = callers
            .map(|element| SearchEntry {
                directory: element.to_owned(),
                rule: CALLERS_OWN,
                presence: Presence::Unjudged,
                provided_by: Vec::new(),
            })
            .collect();
        for entry in added {
            let mut listed = entries
                .iter_mut()
                .filter(|known| known.directory == entry.directory);
            match listed.next() {
                Some(known) if known.rule == CALLERS_OWN => *known = entry,
                Some(_) => {}
                None => entries.push(entry),
            }
        }
        self.put(name, rule, entries, Beginning::Caller);
    }

    fn fresh(&mut self, name: &str, rule: &'static str, wanted: Vec<SearchEntry>) {
        let mut entries: Vec<SearchEntry> = Vec::with_capacity(wanted.len());
        for entry in wanted {
            // Where the root and the task root are the same, so are some of their directories.
            if !entries
                .iter()
                .any(|known| known.directory == entry.directory)
            {
                entries.push(entry);
            }
        }
        self.put(name, rule, entries, Beginning::Fresh);
    }

    fn put(
        &mut self,
        name: &str,
        rule: &'static str,
        entries: Vec<SearchEntry>,
        beginning: Beginning,
    ) {
        // An empty search path would mean the working directory.
        if !entries.is_empty() {
            let value = joined(&entries);
            self.environment.put(Variable {
                name: name.into(),
                value,
                rule,
                entries,
                beginning,
            });
        }
    }
}

/// The two groups of jars.
#[derive(Clone, Copy)]
enum Group {
    Function,
    Layers,
}

/// The key by which Java sorts names: UTF-16 code units, under which U+10000 and above come before
/// U+E000. Names that are not UTF-8 sort by their readable part, and then by their bytes.
fn java_order(name: &[u8]) -> (Vec<u16>, OsString) {
    let text = String::from_utf8_lossy(name);
    (
        text.encode_utf16().collect(),
        OsString::from_vec(name.to_vec()),
    )
}
