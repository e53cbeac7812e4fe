//! The values of AWS's own recordings, and what the rules make of roots that exist only in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::variables::joined;
use super::*;
use crate::runtime::Runtime;

/// Paths in memory, each with the layers that provide it; a path that ends in `/` is a directory, and so
/// is every parent.
#[derive(Debug, Default)]
struct Memory(BTreeMap<Vec<u8>, Vec<usize>>);

impl Memory {
    fn of(paths: &[(&[u8], &[usize])]) -> Self {
        Self(
            paths
                .iter()
                .map(|(path, layers)| (path.to_vec(), layers.to_vec()))
                .collect(),
        )
    }

    fn directories(paths: &[&str]) -> Self {
        Self(
            paths
                .iter()
                .map(|path| (format!("{path}/").into_bytes(), Vec::new()))
                .collect(),
        )
    }

    fn below(&self, path: &[u8]) -> impl Iterator<Item = (&[u8], &[usize])> {
        let prefix = if path.is_empty() {
            Vec::new()
        } else {
            [path, b"/"].concat()
        };
        self.0.iter().filter_map(move |(known, layers)| {
            Some((known.strip_prefix(prefix.as_slice())?, layers.as_slice()))
        })
    }
}

impl RootView for Memory {
    fn is_directory(&self, path: &[u8]) -> bool {
        self.below(path).next().is_some()
    }

    fn names_in(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let first = |rest: &[u8]| rest.split(|byte| *byte == b'/').next().unwrap().to_vec();
        self.below(path)
            .map(|(rest, _)| first(rest))
            .filter(|name| !name.is_empty())
            .collect()
    }

    fn provided_by(&self, path: &[u8]) -> Vec<usize> {
        let itself = self.0.get(path).cloned().unwrap_or_default();
        let mut layers: Vec<usize> = self
            .below(path)
            .flat_map(|(_, layers)| layers.to_vec())
            .collect();
        layers.extend(itself);
        layers.sort_unstable();
        layers.dedup();
        layers
    }
}

/// A request that tests vary.
struct Asked {
    runtime: Option<&'static str>,
    target: Target,
    root: &'static str,
    task_root: &'static str,
    opt: Memory,
    task: Memory,
    caller: Vec<(&'static str, &'static str)>,
    set: Vec<&'static str>,
    env: Vec<&'static str>,
}

fn asked(runtime: &'static str, target: Target) -> Asked {
    Asked {
        runtime: Some(runtime),
        target,
        root: "/opt",
        task_root: "/var/task",
        opt: Memory::default(),
        task: Memory::default(),
        caller: Vec::new(),
        set: Vec::new(),
        env: Vec::new(),
    }
}

impl Asked {
    fn made(&self) -> Result<Environment, EnvironmentError> {
        let caller = Caller::reading(|name| {
            let known = self.caller.iter().find(|(variable, _)| *variable == name);
            known.map(|(_, value)| OsString::from(value))
        });
        let parse = |texts: &[&str]| -> Vec<Assignment> {
            texts
                .iter()
                .map(|text| Assignment::parse(OsStr::new(text)).unwrap())
                .collect()
        };
        environment(&Request {
            runtime: self
                .runtime
                .map(|identifier| Runtime::find(identifier).unwrap()),
            target: self.target,
            root: Path::new(self.root),
            task_root: Path::new(self.task_root),
            in_root: &self.opt,
            in_task_root: &self.task,
            caller: &caller,
            loader_directories: &|| vec!["/lib64".into(), "/usr/lib64".into()],
            is_on_this_machine: &|path| path.ends_with("libssl.so.3"),
            configuration: &parse(&self.set),
            overrides: &parse(&self.env),
        })
    }

    fn environment(&self) -> Environment {
        self.made().unwrap()
    }

    #[track_caller]
    fn expect(&self, name: &str, value: Option<&str>) {
        assert_eq!(
            self.environment().value(name),
            value.map(OsStr::new),
            "{name}"
        );
    }
}

fn names(environment: &Environment) -> Vec<&str> {
    environment
        .variables
        .iter()
        .map(|variable| variable.name.to_str().unwrap())
        .collect()
}

const EVERY_FOLDER: [&str; 11] = [
    "bin",
    "lib/libssl.so.3",
    "python/lib/python3.12/site-packages",
    "python",
    "nodejs/node20/node_modules",
    "nodejs/node_modules",
    "java/lib",
    "ruby/gems/3.3.0",
    "ruby/lib",
    "nodejs/node18/node_modules",
    "python/lib/python3.11/site-packages",
];

#[test]
fn a_host_searches_in_lambdas_order() {
    for (runtime, name, value) in [
        ("python3.12", "PATH", "/usr/bin:/opt/bin"),
        (
            "python3.12",
            "LD_LIBRARY_PATH",
            "/lib64:/usr/lib64:/var/task:/var/task/lib:/opt/lib",
        ),
        (
            "python3.12",
            "PYTHONPATH",
            "/var/task:/opt/python/lib/python3.12/site-packages:/opt/python",
        ),
        (
            "nodejs20.x",
            "NODE_PATH",
            "/opt/nodejs/node20/node_modules:/opt/nodejs/node_modules:/var/task",
        ),
        ("java21", "CLASSPATH", "/var/task/"),
        (
            "ruby3.3",
            "GEM_PATH",
            "/var/task/vendor/bundle/ruby/3.3.0:/opt/ruby/gems/3.3.0:",
        ),
        ("ruby3.3", "RUBYLIB", "/var/task:/opt/ruby/lib"),
    ] {
        let mut asked = asked(runtime, Target::Host);
        asked.opt = Memory::directories(&EVERY_FOLDER);
        asked.caller = vec![("PATH", "/usr/bin")];
        asked.expect(name, Some(value));
    }
}

#[test]
fn a_host_leaves_out_what_the_root_does_not_have_and_keeps_the_task_root() {
    for (runtime, name, value) in [
        ("python3.12", "PYTHONPATH", "/var/task"),
        ("nodejs20.x", "NODE_PATH", "/var/task"),
        ("java21", "CLASSPATH", "/var/task/"),
        ("ruby3.3", "GEM_PATH", "/var/task/vendor/bundle/ruby/3.3.0:"),
        ("ruby3.3", "RUBYLIB", "/var/task"),
    ] {
        asked(runtime, Target::Host).expect(name, Some(value));
    }
    let made = asked("python3.12", Target::Host).environment();
    let left_out: Vec<(&str, &str)> = made
        .left_out
        .iter()
        .map(|one| (one.variable, one.directory.to_str().unwrap()))
        .collect();
    assert!(left_out.contains(&("PATH", "/opt/bin")));
    assert!(left_out.contains(&("PYTHONPATH", "/opt/python/lib/python3.12/site-packages")));
}

#[test]
fn a_host_gets_search_paths_and_nothing_else() {
    for (runtime, expected) in [
        ("python3.12", vec!["PATH", "LD_LIBRARY_PATH", "PYTHONPATH"]),
        ("nodejs20.x", vec!["PATH", "LD_LIBRARY_PATH", "NODE_PATH"]),
        ("java21", vec!["PATH", "LD_LIBRARY_PATH", "CLASSPATH"]),
        (
            "ruby3.3",
            vec!["PATH", "LD_LIBRARY_PATH", "GEM_PATH", "RUBYLIB"],
        ),
        ("dotnet8", vec!["PATH", "LD_LIBRARY_PATH"]),
        ("go1.x", vec!["PATH", "LD_LIBRARY_PATH"]),
        ("provided.al2023", vec!["PATH", "LD_LIBRARY_PATH"]),
    ] {
        let mut asked = asked(runtime, Target::Host);
        asked.opt = Memory::directories(&EVERY_FOLDER);
        assert_eq!(names(&asked.environment()), expected, "{runtime}");
    }
}

#[test]
fn without_a_runtime_only_commands_and_libraries_are_known() {
    for target in [Target::Host, Target::Lambda, Target::Bootstrap] {
        let mut asked = asked("python3.12", target);
        asked.runtime = None;
        asked.opt = Memory::directories(&EVERY_FOLDER);
        assert_eq!(
            names(&asked.environment()),
            ["PATH", "LD_LIBRARY_PATH"],
            "{target:?}"
        );
    }
}

#[test]
fn the_library_path_is_left_alone_where_nothing_is_to_be_found() {
    let mut asked = asked("python3.12", Target::Host);
    asked.caller = vec![("LD_LIBRARY_PATH", "/x")];
    asked.expect("LD_LIBRARY_PATH", None);
    for (opt, task) in [
        (vec!["lib"], vec![]),
        (vec![], vec!["lib"]),
        (vec![], vec!["anything"]),
    ] {
        asked.opt = Memory::directories(&opt);
        asked.task = Memory::directories(&task);
        let last = if opt.is_empty() { "" } else { ":/opt/lib" };
        asked.expect(
            "LD_LIBRARY_PATH",
            Some(&format!("/x:/var/task:/var/task/lib{last}")),
        );
    }
}

#[test]
fn the_loaders_directories_are_named_only_where_one_of_their_libraries_is_threatened() {
    for (library, expected) in [
        (
            "lib/libssl.so.3",
            "/lib64:/usr/lib64:/var/task:/var/task/lib:/opt/lib",
        ),
        ("lib/libours.so.1", "/var/task:/var/task/lib:/opt/lib"),
        ("lib/notes.txt", "/var/task:/var/task/lib:/opt/lib"),
    ] {
        let mut asked = asked("python3.12", Target::Host);
        asked.opt = Memory::directories(&[library]);
        asked.expect("LD_LIBRARY_PATH", Some(expected));
    }
}

#[test]
fn the_callers_own_comes_first_without_empty_elements_and_nothing_comes_twice() {
    let mut asked = asked("python3.12", Target::Host);
    asked.opt = Memory::directories(&["bin", "lib/libssl.so.3"]);
    for (callers, path) in [
        ("", "/opt/bin"),
        ("/bin", "/bin:/opt/bin"),
        (":/bin::/x:", "/bin:/x:/opt/bin"),
        ("/opt/bin:/bin", "/opt/bin:/bin"),
        (":", "/opt/bin"),
    ] {
        asked.caller = vec![("PATH", callers), ("LD_LIBRARY_PATH", callers)];
        asked.expect("PATH", Some(path));
    }
    asked.caller = vec![("LD_LIBRARY_PATH", "/usr/lib64:/a")];
    asked.expect(
        "LD_LIBRARY_PATH",
        Some("/usr/lib64:/a:/lib64:/var/task:/var/task/lib:/opt/lib"),
    );
}

#[test]
fn an_environment_made_from_its_own_result_is_the_same() {
    let mut asked = asked("python3.12", Target::Host);
    asked.opt = Memory::directories(&EVERY_FOLDER);
    asked.caller = vec![("PATH", "/usr/bin:/bin")];
    let first = asked.environment();
    let value = |name: &str| {
        first
            .value(name)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
            .leak() as &str
    };
    asked.caller = vec![
        ("PATH", value("PATH")),
        ("LD_LIBRARY_PATH", value("LD_LIBRARY_PATH")),
    ];
    let second = asked.environment();
    for name in ["PATH", "LD_LIBRARY_PATH", "PYTHONPATH"] {
        assert_eq!(first.value(name), second.value(name));
    }
}

#[test]
fn jars_are_expanded_and_sorted_as_java_sorts_strings() {
    let mut asked = asked("java21", Target::Host);
    asked.opt = Memory::of(&[
        ("java/lib/\u{ff5e}.jar".as_bytes(), &[1]),
        ("java/lib/\u{10000}.jar".as_bytes(), &[1]),
        (b"java/lib/a-2.0.jar", &[1]),
        (b"java/lib/a-1.12.jar", &[2]),
        (b"java/lib/a-1.0.jar", &[1, 2]),
        (b"java/lib/B.jar", &[1]),
        (b"java/lib/.jar", &[1]),
        (b"java/lib/c.JAR", &[1]),
        (b"java/lib/deep/d.jar", &[1]),
        (b"java/lib/readme.txt", &[1]),
        (b"java/lib/\xff.jar", &[1]),
        (b"java/lib/a:b.jar", &[1]),
    ]);
    asked.task = Memory::of(&[(b"lib/z.jar", &[]), (b"lib/y.jar", &[])]);
    let made = asked.environment();
    let class_path = made.variable("CLASSPATH").unwrap();
    let listed: Vec<&[u8]> = class_path
        .value
        .as_bytes()
        .split(|byte| *byte == b':')
        .collect();
    assert_eq!(
        listed,
        [
            b"/var/task/".as_slice(),
            b"/var/task/lib/y.jar",
            b"/var/task/lib/z.jar",
            b"/opt/java/lib/B.jar",
            b"/opt/java/lib/a-1.0.jar",
            b"/opt/java/lib/a-1.12.jar",
            b"/opt/java/lib/a-2.0.jar",
            // Above U+FFFF, yet before U+FF5E: its first UTF-16 unit is a surrogate, 0xD800.
            "/opt/java/lib/\u{10000}.jar".as_bytes(),
            "/opt/java/lib/\u{ff5e}.jar".as_bytes(),
            b"/opt/java/lib/\xff.jar",
        ]
    );
    assert_eq!(class_path.entries[4].provided_by, [1, 2]);
    let with_colon = made
        .left_out
        .iter()
        .find(|one| one.reason == LeftOutReason::ColonInName);
    assert_eq!(with_colon.unwrap().directory, "/opt/java/lib/a:b.jar");
}

#[test]
fn every_entry_says_whether_it_exists_and_which_layers_are_behind_it() {
    let mut asked = asked("python3.12", Target::Host);
    asked.opt = Memory::of(&[
        (b"python/requests/__init__.py", &[1, 3]),
        (b"python/lib/python3.12/site-packages/numpy.py", &[2]),
    ]);
    let made = asked.environment();
    let entries = &made.variable("PYTHONPATH").unwrap().entries;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.directory.to_str().unwrap(),
                entry.presence,
                entry.provided_by.clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("/var/task", Presence::Missing, vec![]),
            (
                "/opt/python/lib/python3.12/site-packages",
                Presence::Present,
                vec![2]
            ),
            ("/opt/python", Presence::Present, vec![1, 2, 3]),
        ]
    );
}

#[test]
fn the_entries_of_every_search_path_make_up_its_value() {
    for runtime in Runtime::all() {
        for target in [Target::Host, Target::Lambda, Target::Bootstrap] {
            let mut asked = asked(runtime.identifier, target);
            asked.opt = Memory::directories(&EVERY_FOLDER);
            asked.caller = vec![("PATH", "/usr/bin:/bin")];
            for variable in asked.environment().variables {
                let value = variable.value.to_str().unwrap();
                assert!(
                    !value.contains("::") && !value.starts_with("::"),
                    "{variable:?}"
                );
                if !variable.entries.is_empty() {
                    assert_eq!(joined(&variable.entries), value.trim_end_matches(':'));
                }
            }
        }
    }
}

#[test]
fn lambda_values_are_those_recorded_on_the_service() {
    const GEMS: &str = "/var/task/vendor/bundle/ruby/2.7.0:/opt/ruby/gems/2.7.0";
    for (runtime, name, value) in [
        (
            "nodejs10.x",
            "NODE_PATH",
            Some(
                "/opt/nodejs/node10/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules",
            ),
        ),
        (
            "nodejs12.x",
            "NODE_PATH",
            Some(
                "/opt/nodejs/node12/node_modules:/opt/nodejs/node_modules:\
                 /var/runtime/node_modules:/var/runtime:/var/task",
            ),
        ),
        (
            "nodejs24.x",
            "NODE_PATH",
            Some(
                "/opt/nodejs/node24/node_modules:/opt/nodejs/node_modules:\
                 /var/runtime/node_modules:/var/runtime:/var/task",
            ),
        ),
        (
            "nodejs14.x",
            "NODE_EXTRA_CA_CERTS",
            Some("/etc/pki/tls/certs/ca-bundle.crt"),
        ),
        (
            "nodejs18.x",
            "NODE_EXTRA_CA_CERTS",
            Some("/var/runtime/ca-cert.pem"),
        ),
        ("nodejs20.x", "NODE_EXTRA_CA_CERTS", None),
        ("python3.7", "PYTHONPATH", None),
        ("python3.8", "PYTHONPATH", Some("/var/runtime")),
        ("python3.14", "PYTHONPATH", Some("/var/runtime")),
        ("python3.11", "LC_CTYPE", None),
        ("python3.12", "LC_CTYPE", Some("C.UTF-8")),
        ("java21", "CLASSPATH", None),
        ("ruby2.7", "GEM_HOME", Some("/var/runtime")),
        ("ruby2.7", "GEM_PATH", Some(GEMS)),
        (
            "ruby2.7",
            "RUBYLIB",
            Some("/var/task:/var/runtime/lib:/opt/ruby/lib"),
        ),
        (
            "ruby3.3",
            "GEM_PATH",
            Some(
                "/var/task/vendor/bundle/ruby/3.3.0:/opt/ruby/gems/3.3.0:\
                 /var/runtime:/var/runtime/ruby/3.3.0",
            ),
        ),
        (
            "ruby3.3",
            "RUBYLIB",
            Some(
                "/var/runtime/gems/aws_lambda_ric-3.1.3/lib:/var/task:/var/runtime/lib:/opt/ruby/lib",
            ),
        ),
        ("dotnet8", "DOTNET_ROOT", Some("/var/lang/bin")),
        ("dotnet8", "LAMBDA_RUNTIME_NAME", Some("dotnet8")),
        (
            "dotnet8",
            "SSL_CERT_FILE",
            Some("/var/runtime/empty-certificates.crt"),
        ),
        ("dotnet10", "SSL_CERT_FILE", None),
        ("dotnetcore3.1", "DOTNET_ROOT", None),
        (
            "java8.al2",
            "AWS_EXECUTION_ENV",
            Some("AWS_Lambda_java8.al2"),
        ),
        ("provided.al2023", "AWS_EXECUTION_ENV", None),
        ("python3.12", "LANG", Some("en_US.UTF-8")),
        ("python3.12", "TZ", Some(":UTC")),
        ("python3.12", "LAMBDA_TASK_ROOT", Some("/var/task")),
        ("python3.12", "LAMBDA_RUNTIME_DIR", Some("/var/runtime")),
        ("python3.12", "AWS_XRAY_CONTEXT_MISSING", Some("LOG_ERROR")),
    ] {
        asked(runtime, Target::Lambda).expect(name, value);
    }
}

#[test]
fn lambda_values_name_opt_wherever_the_root_is() {
    for runtime in Runtime::all() {
        let standard = asked(runtime.identifier, Target::Lambda).environment();
        let mut moved = asked(runtime.identifier, Target::Lambda);
        (moved.root, moved.task_root) = ("/srv/layers", "/src");
        assert_eq!(moved.environment(), standard, "{runtime}");
    }
    let mut asked = asked("nodejs20.x", Target::Lambda);
    asked.root = "/srv/layers";
    asked.opt = Memory::directories(&["nodejs/node_modules"]);
    let made = asked.environment();
    let entries = &made.variable("NODE_PATH").unwrap().entries;
    let told: Vec<Presence> = entries.iter().map(|entry| entry.presence).collect();
    let unjudged = Presence::Unjudged;
    assert_eq!(
        told,
        [
            Presence::Missing,
            Presence::Present,
            unjudged,
            unjudged,
            Presence::Missing
        ]
    );
}

#[test]
fn a_bootstrap_gets_what_the_service_gives_and_no_search_path_of_an_interpreter() {
    let common = [
        "PATH",
        "LD_LIBRARY_PATH",
        "LANG",
        "TZ",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ];
    for runtime in Runtime::all() {
        let made = asked(runtime.identifier, Target::Bootstrap).environment();
        let mut expected = common.to_vec();
        expected.extend(runtime.execution_environment().map(|_| "AWS_EXECUTION_ENV"));
        assert_eq!(names(&made), expected, "{runtime}");
    }
    let ruby = asked("ruby3.4", Target::Bootstrap);
    ruby.expect(
        "PATH",
        Some("/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
    );
}

#[test]
fn a_bootstrap_is_told_of_roots_elsewhere() {
    let mut asked = asked("python3.12", Target::Bootstrap);
    (asked.root, asked.task_root) = ("/srv/opt/", "/src");
    asked.expect(
        "PATH",
        Some("/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/srv/opt/bin"),
    );
    asked.expect(
        "LD_LIBRARY_PATH",
        Some(
            "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/src:/src/lib:/srv/opt/lib",
        ),
    );
    asked.expect("LAMBDA_TASK_ROOT", Some("/src"));
}

#[test]
fn configuration_replaces_a_default_whole() {
    for (runtime, target, set, name, value) in [
        (
            "python3.12",
            Target::Lambda,
            "PYTHONPATH=/x",
            "PYTHONPATH",
            "/x",
        ),
        (
            "python3.12",
            Target::Lambda,
            "PYTHONPATH=",
            "PYTHONPATH",
            "",
        ),
        (
            "python3.12",
            Target::Host,
            "PYTHONPATH=/x",
            "PYTHONPATH",
            "/x",
        ),
        (
            "nodejs20.x",
            Target::Lambda,
            "NODE_PATH=/x",
            "NODE_PATH",
            "/x",
        ),
        (
            "nodejs20.x",
            Target::Host,
            "NODE_PATH=",
            "NODE_PATH",
            "/var/task",
        ),
        (
            "nodejs20.x",
            Target::Bootstrap,
            "NODE_PATH=",
            "NODE_PATH",
            "",
        ),
        (
            "dotnet8",
            Target::Lambda,
            "SSL_CERT_FILE=",
            "SSL_CERT_FILE",
            "/var/runtime/empty-certificates.crt",
        ),
        (
            "java21",
            Target::Lambda,
            "TZ=Europe/Berlin",
            "TZ",
            "Europe/Berlin",
        ),
        (
            "java21",
            Target::Host,
            "PATH=$HOME/bin::",
            "PATH",
            "$HOME/bin::",
        ),
        ("java21", Target::Host, "GREETING=a=b", "GREETING", "a=b"),
    ] {
        let mut asked = asked(runtime, target);
        asked.set = vec![set];
        asked.expect(name, Some(value));
    }
}

#[test]
fn an_empty_node_path_is_the_default_on_lambda() {
    let default = asked("nodejs20.x", Target::Lambda).environment();
    let mut asked = asked("nodejs20.x", Target::Lambda);
    asked.set = vec!["NODE_PATH="];
    assert_eq!(asked.environment(), default);
}

#[test]
fn overrides_come_last_and_may_set_anything() {
    let mut asked = asked("python3.12", Target::Lambda);
    asked.set = vec!["TZ=a", "TZ=b", "X1=1"];
    asked.env = vec!["AWS_REGION=eu-west-1", "X1=2", "_HANDLER=a.b", "PATH=/only"];
    asked.expect("TZ", Some("b"));
    asked.expect("X1", Some("2"));
    asked.expect("AWS_REGION", Some("eu-west-1"));
    asked.expect("_HANDLER", Some("a.b"));
    asked.expect("PATH", Some("/only"));
    assert_eq!(names(&asked.environment())[0], "PATH");
}

#[test]
fn reserved_names_are_refused_with_awss_sentence() {
    let mut asked = asked("python3.12", Target::Host);
    asked.set = vec!["AWS_REGION=x"];
    let sentence = "Lambda was unable to configure your environment variables because the environment \
                    variables you have provided contains reserved keys that are currently not supported \
                    for modification. Reserved keys used in this request: AWS_REGION";
    assert!(asked.made().unwrap_err().to_string().ends_with(sentence));
    asked.set = vec!["_HANDLER=x", "OK_1=1", "LAMBDA_TASK_ROOT=/", "_HANDLER=y"];
    assert!(
        asked
            .made()
            .unwrap_err()
            .to_string()
            .ends_with(": _HANDLER, LAMBDA_TASK_ROOT")
    );
}

#[test]
fn names_that_aws_does_not_take_are_refused() {
    let mut asked = asked("python3.12", Target::Host);
    for set in ["1A=x", "A-B=x", "A=x", "_A=x", "Ä1=x"] {
        asked.set = vec![set];
        let refused = asked.made().unwrap_err();
        assert!(
            matches!(
                refused,
                EnvironmentError::Configuration(ConfigurationError::Name { .. })
            ),
            "{set}"
        );
    }
}

#[test]
fn assignments_have_a_name_and_may_have_any_value() {
    let parse = |text: &[u8]| Assignment::parse(OsStr::from_bytes(text));
    assert_eq!(parse(b"A=\xff=").unwrap().value().as_bytes(), b"\xff=");
    assert_eq!(parse(b"A=").unwrap().value(), "");
    for text in [b"A".as_slice(), b"=x", b"", b"A=\0"] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn what_the_caller_loses_is_told() {
    let mut asked = asked("python3.12", Target::Host);
    asked.caller = vec![
        ("PYTHONPATH", "/mine"),
        ("NODE_PATH", "/mine"),
        ("PATH", "/bin"),
    ];
    assert_eq!(asked.environment().replaced, ["PYTHONPATH"]);
    asked.caller = vec![("PYTHONPATH", "/var/task")];
    assert!(asked.environment().replaced.is_empty());
}

#[test]
fn roots_are_absolute_and_without_colons() {
    let mut asked = asked("python3.12", Target::Host);
    for (root, task_root, message) in [
        (
            "opt",
            "/t",
            "cannot make search paths: the root \"opt\": it is not an absolute path",
        ),
        (
            "",
            "/t",
            "cannot make search paths: the root \"\": it is not an absolute path",
        ),
        (
            "/opt",
            "/a:b",
            "cannot make search paths: the task root \"/a:b\": it holds `:`, which separates their entries",
        ),
    ] {
        (asked.root, asked.task_root) = (root, task_root);
        assert_eq!(asked.made().unwrap_err().to_string(), message);
    }
}

#[test]
fn needless_slashes_in_roots_do_not_show() {
    let mut asked = asked("java21", Target::Host);
    asked.opt = Memory::directories(&["bin"]);
    (asked.root, asked.task_root) = ("/srv//opt/./", "/");
    asked.expect("PATH", Some("/srv/opt/bin"));
    asked.expect("CLASSPATH", Some("/"));
    asked.root = "/";
    asked.expect("PATH", Some("/bin"));
}

#[test]
fn folders_imply_runtimes() {
    for (folders, implied) in [
        (
            vec!["python/lib/python3.12/site-packages"],
            vec!["python3.12"],
        ),
        (vec!["nodejs/node20/node_modules"], vec!["nodejs20.x"]),
        (vec!["ruby/gems/3.3.0"], vec!["ruby3.3"]),
        (vec!["java/lib"], vec!["java25", "java21"]),
        (vec!["python/requests"], vec!["python3.14", "python3.13"]),
        (vec!["bin", "lib"], vec![]),
        (vec!["bootstrap"], vec!["provided.al2023"]),
        (vec![], vec![]),
    ] {
        let found = implied_runtimes(&Memory::directories(&folders));
        let identifiers: Vec<&str> = found.iter().map(|runtime| runtime.identifier).collect();
        assert_eq!(identifiers, implied, "{folders:?}");
    }
}
