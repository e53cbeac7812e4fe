//! `which --module`: what it says a program gets is what the interpreter of this machine gets under `env`, on layers that people
//! make and on stacks that were made up to have every kind of candidate.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::real_layers::{Interpreter, Root, gems_for, printed, printed_bytes, real, runtime_or};
use crate::support::command::{Finished, Sandbox, skip_without};
use crate::support::machine::tool;
use crate::support::zip::{Entry, archive, file, link};

/// Where a name leads, as each side says it: nothing, or paths below the root.
type Answer = Vec<String>;

impl Root {
    fn which(&self, runtime: &str, name: &str, more: &[&str]) -> Finished {
        let mut arguments: Vec<OsString> = vec!["which".into(), "--module".into(), name.into()];
        arguments.extend(self.layers.iter().map(OsString::from));
        arguments.extend(["--runtime", runtime, "--quiet"].map(OsString::from));
        // The judges are programs of this machine.
        if cfg!(target_arch = "aarch64") && !more.contains(&"--architecture") {
            arguments.extend(["--architecture", "arm64"].map(OsString::from));
        }
        arguments.extend(more.iter().map(OsString::from));
        self.sandbox.slashopt(arguments)
    }

    /// All that resolves; the status says whether that is anything.
    #[track_caller]
    fn resolved(&self, runtime: &str, name: &str) -> Answer {
        let finished = self.which(runtime, name, &["--format", "json"]);
        let said: Value = serde_json::from_str(&finished.stdout).expect("it is JSON");
        let shadowed = said["shadowed"].as_array().expect("it is a list").iter();
        let all = std::iter::once(&said["winner"]).chain(shadowed);
        let resolved = all.filter(|one| one["resolves"] == true);
        let paths: Answer = resolved
            .map(|one| one["path"].as_str().expect("it is text").to_owned())
            .collect();
        drop(finished.status(i32::from(paths.is_empty())));
        paths
    }

    /// What a judge answers for each name: a line with paths below the root, separated by tabs.
    #[track_caller]
    fn judged(&self, runtime: &str, command: &[&str], names: &[&str]) -> Vec<Answer> {
        let command: Vec<OsString> = command.iter().chain(names).map(OsString::from).collect();
        let command: Vec<_> = command.iter().map(OsString::as_os_str).collect();
        let opt = format!("{}/", self.opt().display());
        let answers = self.under(runtime, &command);
        let answers: Vec<Answer> = answers
            .lines()
            .map(|line| {
                let paths = line.split('\t').filter_map(|path| path.strip_prefix(&opt));
                paths.map(str::to_owned).collect()
            })
            .collect();
        assert_eq!(answers.len(), names.len(), "an answer for each name");
        answers
    }

    #[track_caller]
    fn agrees(&self, runtime: &str, judge: &[&str], names: &[&str]) -> usize {
        let judged = self.judged(runtime, judge, names);
        let found = judged.iter().filter(|answer| !answer.is_empty()).count();
        for (name, judged) in names.iter().zip(judged) {
            let context = || {
                let said = self.which(runtime, name, &[]);
                let tree = tool("find").arg(self.opt()).output().expect("find starts");
                format!(
                    "{name} in\n{}\n{said}",
                    String::from_utf8_lossy(&tree.stdout)
                        .lines()
                        .take(40)
                        .collect::<Vec<_>>()
                        .join(
                            "
"
                        )
                )
            };
            let ours = self.resolved(runtime, name);
            assert!(
                ours == judged,
                "judged: {judged:?}, ours: {ours:?}: {}",
                context()
            );
        }
        found
    }
}

/// Stacks of two or three layers, each with some of these entries, whose content is never the same.
fn stacks(entries: Vec<Entry>) -> impl Strategy<Value = Vec<Vec<Entry>>> {
    let most = entries.len() / 2;
    let layer = subsequence(entries, 1..=most)
        .prop_shuffle()
        .prop_map(|mut entries| {
            // An archive names a path once.
            let mut names = BTreeSet::new();
            entries.retain(|entry| names.insert(entry.name.clone()));
            entries
        });
    proptest::collection::vec(layer, 2..=3)
}

/// Judges a few stacks; each costs some starts of an interpreter.
fn for_some_stacks(entries: Vec<Entry>, judge: impl Fn(&Root) -> usize) {
    let config = Config {
        cases: 16,
        // What fails is small already.
        max_shrink_iters: 16,
        failure_persistence: None,
        ..Config::default()
    };
    let found = std::cell::Cell::new(0);
    TestRunner::new(config)
        .run(&stacks(entries), |layers| {
            let sandbox = Sandbox::new();
            let made = layers.into_iter().enumerate();
            let layers: Vec<PathBuf> = made
                .map(|(index, entries)| sandbox.archive(&format!("{index}.zip"), &archive(entries)))
                .collect();
            found.set(found.get() + judge(&Root::of(layers)));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(found.get() > 16, "the judge found next to nothing");
}

mod python {
    use super::*;

    /// For each name the file that it would be loaded from, or the directories of a namespace package.
    const SPEC: &str = "
import importlib.util, sys
for name in sys.argv[1:]:
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        print()
    elif spec.origin:
        print(spec.origin)
    else:
        print('\\t'.join(spec.submodule_search_locations))
";

    fn judge(python: &Interpreter) -> [&str; 4] {
        let program = python.program.to_str().expect("its path is text");
        [program, "-B", "-c", SPEC]
    }

    #[test]
    fn an_import_finds_what_python_finds_in_real_layers() {
        let Some(python) = Interpreter::python_of_the_wheels() else {
            return;
        };
        let root = Root::of([
            real("python-requests-old"),
            real("python-requests-new"),
            real("python-pandas"),
        ]);
        let names = [
            "requests",
            "requests.adapters",
            "urllib3.util.retry",
            // Gone with version 2.
            "urllib3.packages.six",
            "charset_normalizer.md__mypyc",
            "numpy.linalg._umath_linalg",
            "pandas._libs.lib",
            "six",
            "dateutil.tz",
            "numpy.no_such_module",
            "no_such_module",
        ];
        let found = root.agrees("python3.11", &judge(&python), &names);
        assert_eq!(found, names.len() - 2);
    }

    #[test]
    fn an_import_finds_what_python_finds_in_any_stack() {
        let python = Interpreter::python();
        let runtime = runtime_or(format!("python{}", python.version), "python3.12");
        let tag = python.version.replace('.', "");
        let machine = std::env::consts::ARCH;
        let script = "import importlib.util, marshal, sys; sys.stdout.buffer.write(importlib.util.MAGIC_NUMBER + bytes(12) + \
                      marshal.dumps(compile('', 'a', 'exec')))";
        let bytecode = printed_bytes(tool(&python.program).args(["-c", script]));
        let mut entries = Vec::new();
        for folder in [
            "python".to_owned(),
            format!("python/lib/{runtime}/site-packages"),
        ] {
            for path in [
                "a.py",
                "a.pyc",
                "a/__init__.py",
                "a/b.py",
                "a/b/__init__.py",
                "a/c/d.py",
                "n/x.py",
                "n/y/__init__.py",
                "n/y/z.py",
                "e.abi3.so",
                "e.py",
                "f.so",
            ] {
                let content = if path == "a.pyc" { &bytecode[..] } else { &[] };
                entries.push(file(format!("{folder}/{path}"), content));
            }
            entries.push(file(
                format!("{folder}/e.cpython-{tag}-{machine}-linux-gnu.so"),
                "",
            ));
            entries.push(file(
                format!("{folder}/f.cpython-27-{machine}-linux-gnu.so"),
                "",
            ));
        }
        let names = [
            "a", "a.b", "a.c", "a.c.d", "n", "n.x", "n.y", "n.y.z", "e", "f", "nothing",
        ];
        for_some_stacks(entries, |root| {
            root.agrees(&runtime, &judge(&python), &names)
        });
    }

    #[test]
    fn a_compiled_module_is_found_by_its_own_machine_alone() {
        let sandbox = Sandbox::new();
        let layer = archive(["x86_64", "aarch64"].map(|machine| {
            file(
                format!("python/m.cpython-312-{machine}-linux-gnu.so"),
                machine,
            )
        }));
        let root = Root::of([sandbox.archive("layer.zip", &layer)]);
        for (architecture, machine) in [("x86_64", "x86_64"), ("arm64", "aarch64")] {
            let said = root
                .which("python3.12", "m", &["--architecture", architecture])
                .success();
            let path = format!("python/m.cpython-312-{machine}-linux-gnu.so: layer 1 of 1");
            assert!(said.stdout().starts_with(&path), "{}", said.stdout());
            assert_eq!(said.stdout().lines().count(), 1, "{}", said.stdout());
        }
        drop(root.which("python3.13", "m", &[]).status(1));
    }

    #[test]
    fn what_is_shadowed_is_named_with_its_layer_and_version() {
        let root = Root::of([real("python-requests-old"), real("python-requests-new")]);
        let said = root
            .which("python3.11", "urllib3", &["--format", "json"])
            .success();
        let said: Value = serde_json::from_str(said.stdout()).expect("it is JSON");
        assert_eq!(
            said["winner"]["path"],
            "python/lib/python3.11/site-packages/urllib3/__init__.py"
        );
        assert_eq!(said["path"], said["winner"]["path"]);
        assert_eq!(said["winner"]["layer"], 1);
        assert_eq!(said["winner"]["version"], "1.26.20");
        assert_eq!(said["shadowed"][0]["path"], "python/urllib3/__init__.py");
        assert_eq!(said["shadowed"][0]["layer"], 2);
        assert_eq!(said["shadowed"][0]["version"], "2.5.0");
        // Another runtime does not look in the folder of 3.11.
        let only_old = Root::of([real("python-requests-old")]);
        let arguments = [
            "which",
            "--module",
            "urllib3.util",
            "--runtime",
            "python3.12",
        ];
        let failed = only_old
            .sandbox
            .slashopt(
                arguments
                    .map(OsString::from)
                    .into_iter()
                    .chain([only_old.layers[0].clone().into()]),
            )
            .status(1);
        let why = "has it in `python/lib/python3.11/site-packages`, where python3.12 does not look";
        assert!(failed.stderr().contains(why), "{}", failed.stderr());
        let said = root.which("python3.12", "urllib3", &[]).success();
        assert!(
            said.stdout()
                .starts_with("python/urllib3/__init__.py: layer 2 of 2"),
            "{}",
            said.stdout()
        );
        assert_eq!(said.stdout().lines().count(), 1, "{}", said.stdout());
    }
}

mod node {
    use super::*;

    const RESOLVE: &str = "
for (const name of process.argv.slice(1)) {
  try { console.log(require.resolve(name)); } catch { console.log(''); }
}
";

    fn judge(node: &Interpreter) -> [&str; 3] {
        [
            node.program.to_str().expect("its path is text"),
            "-e",
            RESOLVE,
        ]
    }

    #[test]
    fn a_require_finds_what_node_finds_in_real_layers() {
        let node = Interpreter::node();
        let runtime = runtime_or(format!("nodejs{}.x", node.version), "nodejs22.x");
        let root = Root::of([real("node-aws-sdk"), real("node-sharp")]);
        let names = [
            "@aws-sdk/client-s3",
            "@aws-sdk/client-s3/package.json",
            "@smithy/core",
            "@smithy/core/protocols",
            "@smithy/core/no-such-export",
            "sharp",
            "sharp/lib/sharp",
            "sharp/lib/sharp.js",
            "semver",
            "semver/functions/gt",
            "tslib",
            "tslib/no-such-file",
            "fs",
            "no-such-package",
        ];
        let found = root.agrees(&runtime, &judge(&node), &names);
        assert!(found > 6, "{found}");
    }

    #[test]
    fn a_require_finds_what_node_finds_in_any_stack() {
        let node = Interpreter::node();
        let runtime = runtime_or(format!("nodejs{}.x", node.version), "nodejs22.x");
        let mut entries = Vec::new();
        for folder in [
            "nodejs/node_modules".to_owned(),
            format!("nodejs/node{}/node_modules", node.version),
        ] {
            for path in [
                "a.js",
                "a/index.js",
                "a/sub.js",
                "a/sub.json",
                "a/lib/index.node",
                "a/lib/main.js",
                "a/lib/deep/x.js",
                "a/lib/x.mjs",
                "@s/b/index.js",
                "@s/b/c/index.json",
                "fs/index.js",
                "c.json",
            ] {
                entries.push(file(format!("{folder}/{path}"), "{}"));
            }
            for manifest in [
                r#"{"name":"a","main":"lib"}"#,
                r#"{"name":"a","main":"./lib/main"}"#,
                r#"{"name":"a","main":"no-such-file.js"}"#,
                r#"{"exports":"./sub.js"}"#,
                r#"{"exports":{"import":"./lib/x.mjs","require":"./lib/main.js"}}"#,
                r#"{"exports":{"import":"./lib/x.mjs"}}"#,
                r#"{"exports":{".":{"node":{"import":"./lib/x.mjs"},"default":"./sub.js"},"./package.json":"./package.json"}}"#,
                r#"{"exports":{".":"./no-such-file.js","./*":"./lib/*.js","./lib/deep/*":null,"./lib/*":"./lib/*"}}"#,
                r#"{"exports":{".":["not-relative","./sub.js"],"./sub":{"browser":"./lib/main.js","default":"./sub.json"}}}"#,
                r#"{"exports":null,"main":"sub"}"#,
                "not json",
            ] {
                entries.push(file(format!("{folder}/a/package.json"), manifest));
            }
            entries.push(file(
                format!("{folder}/a/lib/package.json"),
                r#"{"main":"./deep/x"}"#,
            ));
            entries.push(file(
                format!("{folder}/@s/b/package.json"),
                r#"{"exports":{"./c":"./c/index.json"}}"#,
            ));
            entries.push(link(format!("{folder}/linked"), "a"));
        }
        let names = [
            "a",
            "a/",
            "a/sub",
            "a/sub.js",
            "a/lib",
            "a/lib/main",
            "a/lib/main.js",
            "a/main",
            "a/deep/x",
            "a/lib/deep/x",
            "a/lib/deep/x.js",
            "a/package.json",
            "@s/b",
            "@s/b/c",
            "@s/b/c/index",
            "linked",
            "linked/sub",
            "fs",
            "fs/",
            "c",
            "c.json",
            "z",
        ];
        for_some_stacks(entries, |root| root.agrees(&runtime, &judge(&node), &names));
    }
}

mod java {
    use super::*;

    /// Prints the jar that each class would be loaded from by a loader like Lambda's (`CustomerClassLoader` of the runtime interface
    /// client for Java): the jars of a directory, sorted as strings, in one loader.
    const PROBE: &str = "
import java.io.File;
import java.net.*;
import java.util.*;

public class Probe {
    public static void main(String[] arguments) throws Exception {
        String[] names = Objects.requireNonNullElse(new File(arguments[0]).list((in, name) -> name.endsWith(\".jar\")), new String[0]);
        Arrays.sort(names, Comparator.comparing(String::toString));
        List<URL> jars = new ArrayList<>();
        for (String name : names) jars.add(new File(arguments[0], name).toURI().toURL());
        var loader = new URLClassLoader(jars.toArray(new URL[0]));
        for (int index = 1; index < arguments.length; index++) {
            URL found = loader.findResource(arguments[index].replace('.', '/') + \".class\");
            System.out.println(found == null ? \"\" : ((JarURLConnection) found.openConnection()).getJarFile().getName());
        }
    }
}
";

    fn jar(name: &str, classes: &[&str]) -> Entry {
        let entries = classes
            .iter()
            .map(|class| file(format!("{}.class", class.replace('.', "/")), name));
        file(format!("java/lib/{name}"), archive(entries).bytes())
    }

    #[test]
    fn a_class_comes_from_the_jar_that_java_takes_it_from() {
        if skip_without("javac") || skip_without("java") {
            return;
        }
        let entries = vec![
            jar("a-1.0.jar", &["p.A", "p.Only"]),
            jar("a-1.10.jar", &["p.A", "p.B"]),
            jar("a-1.9.jar", &["p.A", "p.B", "p.B$Inner"]),
            jar("a.jar", &["p.A", "p.C"]),
            jar("A.jar", &["p.B", "p.C"]),
            jar("\u{fb00}.jar", &["p.D", "p.C"]),
            // By its code point behind the one before, by its first UTF-16 unit before it.
            jar("\u{1f600}.jar", &["p.D"]),
            jar("upper.JAR", &["p.E"]),
            jar("below/b.jar", &["p.E"]),
            file("java/lib/broken.jar", "no jar"),
        ];
        let names = ["p.A", "p.B", "p.B$Inner", "p.C", "p.D", "p.E", "p.Only"];
        let sandbox = Sandbox::new();
        let source = sandbox.write("Probe.java", PROBE);
        let classes = sandbox.mkdir("classes", 0o755);
        printed(
            tool("javac")
                .arg("-d")
                .arg(&classes)
                .arg(source)
                .env_remove("CLASSPATH"),
        );
        for_some_stacks(entries, |root| {
            std::fs::copy(classes.join("Probe.class"), root.task().join("Probe.class"))
                .expect("it can be copied");
            let folder = root.opt().join("java/lib").display().to_string();
            // Names beyond ASCII are names of files only where the locale can spell them.
            root.agrees(
                "java21",
                &[
                    "env",
                    "LC_ALL=C.UTF-8",
                    "java",
                    "-XX:TieredStopAtLevel=1",
                    "Probe",
                    &folder,
                ],
                &names,
            )
        });
    }
}

mod ruby {
    use super::*;

    /// Requires each name in a process of its own, as one that is loaded changes what others find.
    const REQUIRE: &str = "
ARGV.each do |name|
  found = IO.popen([RbConfig.ruby, '-e', <<~CODE, name], err: File::NULL, &:read)
    before = $LOADED_FEATURES.dup
    begin
      require ARGV[0]
      puts (($LOADED_FEATURES - before).find { |path| path.end_with?('/' + ARGV[0].delete_suffix('.rb') + '.rb') })
    rescue LoadError
      puts
    end
  CODE
  puts found.lines.last.to_s.chomp
end
";

    fn gem(ruby: &Interpreter, name: &str, version: &str, files: &[&str]) -> Vec<Entry> {
        let home = format!("ruby/gems/{}.0", ruby.version);
        let specification = format!(
            "# -*- encoding: utf-8 -*-\n# stub: {name} {version} ruby lib\n\nGem::Specification.new do |s|\n  s.name = {name:?}\n  \
             s.version = {version:?}\n  s.require_paths = [\"lib\"]\n  s.summary = \"x\"\n  s.authors = [\"x\"]\nend\n"
        );
        let code = files
            .iter()
            .map(|path| file(format!("{home}/gems/{name}-{version}/lib/{path}"), ""));
        std::iter::once(file(
            format!("{home}/specifications/{name}-{version}.gemspec"),
            specification,
        ))
        .chain(code)
        .collect()
    }

    #[test]
    fn a_require_finds_what_ruby_finds() {
        let Some(ruby) = Interpreter::ruby() else {
            return;
        };
        let runtime = runtime_or(format!("ruby{}", ruby.version), "ruby3.4");
        let sandbox = Sandbox::new();
        let older = archive(
            gem(&ruby, "g", "1.9.0", &["g.rb", "g/old.rb", "shared_h.rb"])
                .into_iter()
                .chain(gem(&ruby, "h", "2.0.0.rc1", &["h.rb", "shared_h.rb"]))
                .chain([file("ruby/lib/h_plain.rb", "")]),
        );
        let newer = archive(
            gem(&ruby, "g", "1.10.0", &["g.rb", "g/new.rb", "h_plain.rb"])
                .into_iter()
                .chain(gem(&ruby, "h", "1.0.0", &["h.rb"])),
        );
        let mut layers = vec![
            real("ruby-rack"),
            sandbox.archive("older.zip", &older),
            sandbox.archive("newer.zip", &newer),
        ];
        layers.extend(gems_for(&sandbox, &runtime, &ruby));
        let root = Root::of(layers);
        let names = [
            "rack",
            "rack/utils",
            "mime/types",
            "g",
            "g/new",
            "g/old",
            "h",
            "shared_h",
            "h_plain",
            "h_plain.rb",
            "no_such_gem",
        ];
        let program = ruby.program.to_str().expect("its path is text");
        let found = root.agrees(&runtime, &[program, "-e", REQUIRE], &names);
        assert_eq!(found, names.len() - 1);
    }
}

mod commands {
    use super::*;

    #[test]
    fn a_command_is_what_a_shell_runs() {
        let sandbox = Sandbox::new();
        let first = archive([
            file("bin/tool", "#!/bin/sh\n").mode(0o755),
            file("bin/plain", "#!/bin/sh\n").mode(0o644),
            file("bin/other", "#!/bin/sh\n").mode(0o755),
        ]);
        let second = archive([
            file("bin/tool", "#!/bin/sh\n# another\n").mode(0o755),
            link("bin/other-name", "tool"),
            link("bin/dangling", "nowhere"),
        ]);
        let root = Root::of([
            sandbox.archive("first.zip", &first),
            sandbox.archive("second.zip", &second),
        ]);
        let script = "for name; do found=$(command -v \"$name\"); [ -z \"$found\" ] || found=$(readlink -f \"$found\"); \
                      echo \"$found\"; done";
        let names = [
            "tool",
            "plain",
            "other",
            "other-name",
            "dangling",
            "no-such-tool",
        ];
        for runtime in ["provided.al2023", "python3.12"] {
            let found = root.agrees(runtime, &["/bin/sh", "-c", script, "sh"], &names);
            assert_eq!(found, 3);
        }
        let said = root.which("provided.al2023", "tool", &[]).success();
        assert!(
            said.stdout().contains("overridden bin/tool: layer 1 of 2"),
            "{}",
            said.stdout()
        );
        let said = root.which("provided.al2023", "plain", &[]).status(1);
        assert!(
            said.stdout().contains("`bin/plain` is not executable"),
            "{}",
            said.stdout()
        );
    }
}

#[test]
fn a_name_without_a_runtime_is_an_error_that_suggests_one() {
    let root = Root::of([real("python-requests-old")]);
    let mut arguments: Vec<OsString> = vec!["which".into(), "--module".into(), "requests".into()];
    arguments.extend(root.layers.iter().map(OsString::from));
    let failed = root.sandbox.slashopt(&arguments).status(2);
    assert!(
        failed.stderr().contains("--runtime python3.11"),
        "{}",
        failed.stderr()
    );
    let found = root
        .sandbox
        .command(&arguments)
        .env("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11")
        .run()
        .success();
    assert!(
        found.stdout().contains("requests 2.28.2"),
        "{}",
        found.stdout()
    );
}
