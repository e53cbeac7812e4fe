//! Each rule that judges names, kinds, modes, links, quotas and configuration: what it finds, and what it lets pass.

use crate::check::{assert_found, assert_silent, checked, found, of_rule, stack};
use crate::support::command::Sandbox;
use crate::support::zip::{Archive, Entry, FAT, archive, directory, file, link};

const SCRIPT: &str = "#!/bin/sh\nexec \"$@\"\n";
/// What Python knows a distribution by.
const METADATA: &str = "Metadata-Version: 2.1\nName: requests\nVersion: 2.32.0\n";

fn one(entries: impl IntoIterator<Item = Entry>) -> [Archive; 1] {
    [archive(entries)]
}

fn program(name: &str) -> Entry {
    file(name, SCRIPT).mode(0o755)
}

fn provided() -> [&'static str; 2] {
    ["--runtime", "provided.al2023"]
}

mod quotas {
    use super::*;

    #[test]
    fn a_sixth_layer_is_told_in_the_words_of_aws() {
        let layers = |n: usize| (0..n).map(|i| archive([file(format!("f{i}"), "")]));
        let sentence = "error -: Lambda says: Cannot reference more than 5 layers.";
        assert_found("quota-exceeded", layers(6), &[], &[sentence]);
        assert_silent("quota-exceeded", layers(5), &[]);
        assert_silent("quota-exceeded", layers(6), &["--quota", "off"]);
    }

    #[test]
    fn too_many_bytes_are_told_with_the_layer_that_has_them() {
        // 250 MB of zeros, which deflate to a quarter of a megabyte.
        let zeros = vec![0; 262_144_000];
        let (sandbox, arguments) = stack([archive([file("zeros", zeros).deflated()])]);
        let json = checked(&sandbox, &arguments, &[]);
        let finding = &json["findings"][0];
        assert_eq!(finding["rule"], "quota-exceeded");
        assert_eq!(finding["layer"], 1);
        assert_eq!(
            finding["message"],
            "Lambda says: Unzipped size must be smaller than 262144000 bytes"
        );
    }

    #[test]
    fn one_file_under_two_names_is_the_same_layer() {
        let (sandbox, mut arguments) = stack(one([file("a", "")]));
        assert_eq!(
            of_rule("same-layer-twice", &checked(&sandbox, &arguments, &[])).len(),
            0
        );
        arguments.push("./1.zip".to_owned());
        let found = of_rule("same-layer-twice", &checked(&sandbox, &arguments, &[]));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("Two different versions of the same layer are not allowed"));
        assert!(found[0].contains("1.zip and ./1.zip are versions of the same layer."));
    }
}

mod modes {
    use super::*;

    #[test]
    fn a_file_that_others_may_not_read_is_an_error_and_lambda_is_quoted() {
        let rule = "unreadable-file";
        let sentence = "Layer conversion failed: Some files do not have read permissions";
        let layers = || one([file("a", "").mode(0o640), file("b", "").mode(0o644)]);
        assert_found(rule, layers(), &[], &["error a: its mode is 0640"]);
        assert_found(rule, layers(), &[], &[sentence]);
        assert_silent(
            rule,
            one([file("a", "").mode(0o604), directory("d/").mode(0o700)]),
            &[],
        );
        assert_silent(rule, one([file("a", "").without_mode()]), &[]);
    }

    #[test]
    fn an_unreadable_file_that_a_later_layer_overrides_is_a_warning() {
        let layers = [
            archive([file("a", "").mode(0o600)]),
            archive([file("a", "")]),
        ];
        assert_found(
            "unreadable-file",
            layers,
            &[],
            &["warning a: its mode is 0600"],
        );
    }

    #[test]
    fn a_program_in_bin_needs_its_bit_and_data_does_not() {
        let rule = "command-not-executable";
        let layers = one([
            file("bin/data.json", "{}"),
            file("bin/script", SCRIPT),
            file("bin/script.sh", SCRIPT),
            file("bin/something", "text"),
            program("bin/tool"),
        ]);
        assert_found(
            rule,
            layers,
            &[],
            &[
                "warning bin/script: its mode is 0644",
                "warning bin/script.sh: its mode is 0644",
                "note bin/something: ",
            ],
        );
        assert_silent(rule, one([file("python/bin/script", SCRIPT)]), &[]);
        let windows = file("bin/script", SCRIPT).host(FAT).without_mode();
        assert_found(rule, one([windows]), &[], &["the archive gives it no mode"]);
    }

    #[test]
    fn set_id_bits_are_lost_and_sticky_directories_are_not_worth_a_word() {
        let rule = "special-mode-bits";
        let layers = one([
            file("bin/ping", "").mode(0o4755),
            file("bin/wall", "").mode(0o2755),
        ]);
        let expected = [
            "warning bin/ping: set-user-ID",
            "warning bin/wall: set-group-ID",
        ];
        assert_found(rule, layers, &[], &expected);
        assert_silent(
            rule,
            one([directory("tmp/").mode(0o1777), program("bin/ping")]),
            &[],
        );
    }

    #[test]
    fn set_id_bits_of_a_directory_that_serves_as_layer_are_seen_too() {
        use std::os::unix::fs::PermissionsExt as _;
        let sandbox = Sandbox::new();
        sandbox.mkdir("layer", 0o755);
        let ping = sandbox.write("layer/ping", SCRIPT);
        let mode = std::fs::Permissions::from_mode(0o4755);
        std::fs::set_permissions(ping, mode).expect("it is ours");
        let json = checked(&sandbox, &["check".to_owned(), "layer".to_owned()], &[]);
        assert_eq!(of_rule("special-mode-bits", &json).len(), 1);
    }
}

mod bootstraps {
    use super::*;

    #[test]
    fn a_bootstrap_needs_its_bit_where_lambda_starts_it() {
        let rule = "bootstrap-not-executable";
        let layers = || one([file("bootstrap", SCRIPT)]);
        assert_found(
            rule,
            layers(),
            &provided(),
            &["error bootstrap: its mode is 0644"],
        );
        assert_silent(rule, one([program("bootstrap")]), &provided());
        assert_silent(rule, layers(), &["--runtime", "python3.12"]);
        let linked = one([link("bootstrap", "lib/start"), file("lib/start", SCRIPT)]);
        assert_found(
            rule,
            linked,
            &provided(),
            &["error lib/start: its mode is 0644"],
        );
    }

    #[test]
    fn a_directory_is_no_bootstrap() {
        let rule = "bootstrap-is-directory";
        let layers = one([program("bootstrap/bootstrap")]);
        let sentence = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
        assert_found(rule, layers, &provided(), &[sentence]);
        assert_silent(rule, one([program("bootstrap")]), &provided());
    }

    #[test]
    fn a_managed_runtime_ignores_a_bootstrap() {
        let rule = "bootstrap-ignored";
        let layers = || one([program("bootstrap")]);
        let runtime = ["--runtime", "nodejs22.x"];
        assert_found(
            rule,
            layers(),
            &runtime,
            &["note bootstrap: nodejs22.x starts its own"],
        );
        assert_silent(rule, layers(), &provided());
    }
}

mod extensions {
    use super::*;

    #[test]
    fn every_file_in_extensions_must_be_executable() {
        let rule = "extension-not-executable";
        let layers = one([
            file("extensions/README.md", "read me"),
            program("extensions/agent"),
            link("extensions/dangling", "agent2"),
            link("extensions/linked", "../bin/linked"),
            file("bin/linked", SCRIPT),
        ]);
        assert_found(
            rule,
            layers,
            &[],
            &[
                "error extensions/README.md: its mode is 0644",
                "error extensions/dangling: the link leads nowhere",
                "error extensions/linked: its mode is 0644",
            ],
        );
        let good = one([
            program("extensions/agent"),
            link("extensions/linked", "/opt/bin/linked"),
            link("extensions/of-task", "/var/task/agent"),
            program("bin/linked"),
        ]);
        assert_silent(rule, good, &[]);
    }

    #[test]
    fn a_directory_in_extensions_is_not_started() {
        let rule = "extension-is-directory";
        let layers = one([program("extensions/agent/agent")]);
        assert_found(
            rule,
            layers,
            &[],
            &["warning extensions/agent: it is a directory"],
        );
        assert_silent(
            rule,
            one([program("extensions/agent"), file("agent/x", "")]),
            &[],
        );
    }

    #[test]
    fn of_two_extensions_of_one_name_only_the_later_is_started() {
        let rule = "extension-overridden";
        let other = || archive([file("extensions/agent", "#!/bin/bash\n").mode(0o755)]);
        let agent = || archive([program("extensions/agent"), program("extensions/own")]);
        let expected = "warning extensions/agent: that of layer 1 is not started";
        assert_found(rule, [agent(), other()], &[], &[expected]);
        assert_silent(rule, [agent(), agent()], &[]);
    }

    #[test]
    fn the_eleventh_extension_is_too_many_wherever_they_come_from() {
        let rule = "too-many-extensions";
        let some = |range: std::ops::Range<usize>| {
            archive(range.map(|i| program(&format!("extensions/e{i}"))))
        };
        assert_found(
            rule,
            [some(0..6), some(6..11)],
            &[],
            &["error -: 11 extensions"],
        );
        assert_silent(rule, [some(0..6), some(4..10)], &[]);
    }

    #[test]
    fn the_file_that_disables_extensions_is_named() {
        let rule = "extensions-disabled";
        let name = "disable-extensions-jwigqn8j";
        let both = [
            archive([program("extensions/agent")]),
            archive([file(name, "")]),
        ];
        let expected = format!("warning {name}: these are not started: agent");
        assert_found(rule, both, &[], &[&expected]);
        assert_found(rule, one([file(name, "")]), &[], &["note "]);
        assert_silent(rule, one([program("extensions/agent")]), &[]);
    }
}

mod wrappers {
    use super::*;

    const SET: [&str; 2] = ["--set", "AWS_LAMBDA_EXEC_WRAPPER=/opt/wrapper"];

    #[test]
    fn a_wrapper_that_no_layer_brings_ends_the_function() {
        let rule = "wrapper-missing";
        let expected = "error -: no layer brings `/opt/wrapper`";
        assert_found(rule, one([program("bin/wrapper")]), &SET, &[expected]);
        assert_found(
            rule,
            one([directory("wrapper/")]),
            &SET,
            &["error wrapper: `/opt/wrapper` is a directory"],
        );
        assert_silent(rule, one([program("wrapper")]), &SET);
        assert_silent(
            rule,
            one([link("wrapper", "bin/w"), program("bin/w")]),
            &SET,
        );
        let of_function = ["--set", "AWS_LAMBDA_EXEC_WRAPPER=/var/task/wrapper"];
        assert_silent(rule, one([file("a", "")]), &of_function);
        assert_silent(
            rule,
            one([file("a", "")]),
            &["--set", "AWS_LAMBDA_EXEC_WRAPPER="],
        );
    }

    #[test]
    fn a_wrapper_of_nearly_that_name_is_suggested() {
        let (sandbox, arguments) = stack(one([program("bin/wrapper")]));
        let json = checked(&sandbox, &arguments, &SET);
        let help = json["findings"][0]["help"].as_str().expect("text");
        assert!(help.contains("/opt/bin/wrapper"), "{help}");
    }

    #[test]
    fn a_wrapper_needs_its_bit() {
        let rule = "wrapper-not-executable";
        assert_found(
            rule,
            one([file("wrapper", SCRIPT)]),
            &SET,
            &["error wrapper: "],
        );
        assert_silent(rule, one([program("wrapper")]), &SET);
        let nobody_says = one([
            file("wrapper", SCRIPT),
            file("notes", "x"),
            file("a.py", SCRIPT),
        ]);
        assert_found(rule, nobody_says, &[], &["warning wrapper: "]);
    }

    #[test]
    fn an_os_only_runtime_starts_no_wrapper() {
        let rule = "wrapper-unsupported";
        let [set, wrapper] = SET;
        let layers = || one([program("wrapper")]);
        let os_only = [set, wrapper, "--runtime", "provided.al2023"];
        assert_found(
            rule,
            layers(),
            &os_only,
            &["warning -: provided.al2023 does not start"],
        );
        assert_silent(rule, layers(), &[set, wrapper, "--runtime", "python3.12"]);
        assert_silent(rule, layers(), &provided());
    }
}

#[test]
fn a_search_path_of_the_function_must_name_the_layers() {
    let rule = "layers-not-searched";
    let layers = || {
        one([
            file("python/a.py", ""),
            file("nodejs/node_modules/a.js", ""),
        ])
    };
    let set = |variable| found(rule, layers(), &["--set", variable]);
    let expected = "error -: PYTHONPATH is `/var/task`: nothing below `python` is found";
    assert_eq!(set("PYTHONPATH=/var/task"), [expected]);
    assert_eq!(set("PYTHONPATH=").len(), 1, "an empty one counts as set");
    assert_eq!(set("NODE_PATH=/var/task").len(), 1);
    for harmless in [
        "PYTHONPATH=/x:/opt/python",
        "NODE_PATH=",
        "PATH=/usr/bin",
        "RUBYLIB=/x",
    ] {
        assert!(set(harmless).is_empty(), "{harmless}");
    }
    let python = ["--runtime", "python3.12", "--set", "NODE_PATH=/var/task"];
    assert_silent(rule, layers(), &python);
}

mod folders {
    use super::*;

    const PYTHON: [&str; 2] = ["--runtime", "python3.12"];
    const NODE: [&str; 2] = ["--runtime", "nodejs22.x"];

    fn distribution(folder: &str) -> [Archive; 1] {
        let metadata = format!("{folder}requests-2.32.0.dist-info/METADATA");
        one([
            file(metadata, METADATA),
            file(format!("{folder}requests/__init__.py"), ""),
        ])
    }

    #[test]
    fn python_packages_outside_the_searched_folders_are_errors() {
        let rule = "python-package-not-searched";
        for folder in [
            "",
            "site-packages/",
            "python3.12/",
            "python3.12/site-packages/",
            "lib/python3.12/site-packages/",
            "python/site-packages/",
            "python/python/",
            "python/python3.12/site-packages/",
            "python/lib64/python3.12/site-packages/",
            "layer/python/",
            "venv/lib/python3.12/site-packages/",
        ] {
            let found = found(rule, distribution(folder), &PYTHON);
            assert_eq!(found.len(), 1, "{folder}: {found:?}");
            assert!(found[0].starts_with("error "), "{found:?}");
        }
        for folder in [
            "python/",
            "python/lib/python3.12/site-packages/",
            "python/setuptools/_vendor/",
            "awscli/",
        ] {
            assert_silent(rule, distribution(folder), &PYTHON);
        }
        assert_silent(rule, distribution(""), &NODE);
    }

    #[test]
    fn without_a_runtime_or_beside_packages_that_are_found_it_is_a_warning() {
        let rule = "python-package-not-searched";
        assert_found(rule, distribution(""), &[], &["warning "]);
        let [outside] = distribution("");
        let [inside] = distribution("python/");
        assert_found(rule, [outside, inside], &PYTHON, &["warning "]);
    }

    #[test]
    fn a_later_layer_does_not_win_over_a_folder_that_is_searched_first() {
        let rule = "package-found-elsewhere-first";
        let urllib3 = |folder: &str, version: &str| {
            let metadata = format!("Metadata-Version: 2.1\nName: urllib3\nVersion: {version}\n");
            archive([
                file(
                    format!("{folder}/urllib3-{version}.dist-info/METADATA"),
                    metadata,
                ),
                file(format!("{folder}/urllib3/__init__.py"), version),
            ])
        };
        let versioned = "python/lib/python3.12/site-packages";
        let old = || urllib3(versioned, "1.26.20");
        let expected = "warning python/urllib3-2.5.0.dist-info: urllib3 2.5.0 is not found: \
                        urllib3 1.26.20 of layer 1 comes first, in `python/lib/python3.12/site-packages`";
        assert_found(
            rule,
            [old(), urllib3("python", "2.5.0")],
            &PYTHON,
            &[expected],
        );
        assert_silent(rule, [old(), urllib3("python", "1.26.20")], &PYTHON);
        assert_silent(rule, [old(), urllib3(versioned, "2.5.0")], &PYTHON);
        assert_silent(
            rule,
            [urllib3("python", "1.26.20"), urllib3(versioned, "2.5.0")],
            &PYTHON,
        );
        let other = ["--runtime", "python3.13"];
        assert_silent(rule, [old(), urllib3("python", "2.5.0")], &other);
    }

    #[test]
    fn node_modules_belong_below_nodejs() {
        let rule = "node-modules-not-searched";
        let package = |folder: &str| {
            one([file(
                format!("{folder}node_modules/left-pad/package.json"),
                "{}",
            )])
        };
        for folder in ["", "node22/", "layer/nodejs/", "layer/nodejs/node22/"] {
            let found = found(rule, package(folder), &NODE);
            assert_eq!(found.len(), 1, "{folder}: {found:?}");
            assert!(found[0].starts_with("error "), "{found:?}");
        }
        for folder in [
            "nodejs/",
            "nodejs/node22/",
            "nodejs/node_modules/a/",
            "app/",
        ] {
            assert_silent(rule, package(folder), &NODE);
        }
        assert_silent(rule, package(""), &PYTHON);
    }

    #[test]
    fn gems_belong_below_ruby_gems() {
        let rule = "ruby-gem-not-searched";
        let gem = |home: &str| one([file(format!("{home}specifications/rack-3.1.0.gemspec"), "")]);
        let ruby = ["--runtime", "ruby3.4"];
        for home in [
            "",
            "ruby/3.4.0/",
            "gems/3.4.0/",
            "vendor/bundle/ruby/3.4.0/",
            "x/ruby/gems/3.4.0/",
        ] {
            let found = found(rule, gem(home), &ruby);
            assert_eq!(found.len(), 1, "{home}: {found:?}");
            assert!(found[0].starts_with("error "), "{found:?}");
        }
        for home in [
            "ruby/gems/3.4.0/",
            "lib/ruby/gems/3.4.0/",
            "ruby/gems/3.4.0/gems/a-1/",
        ] {
            assert_silent(rule, gem(home), &ruby);
        }
        assert_silent(rule, gem(""), &PYTHON);
    }

    #[test]
    fn jars_belong_directly_into_java_lib() {
        let rule = "jar-not-searched";
        let jar = |name: &str| one([file(name, "PK\x03\x04")]);
        for name in [
            "a.jar",
            "lib/a.jar",
            "java/a.jar",
            "java/lib/sub/a.jar",
            "java/lib/a.JAR",
            "x/java/lib/a.jar",
        ] {
            let found = found(rule, jar(name), &["--runtime", "java21"]);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
        }
        for name in [
            "java/lib/a.jar",
            "opentelemetry-javaagent.jar",
            "python/tika/tika.jar",
        ] {
            assert_silent(rule, jar(name), &["--runtime", "java21"]);
        }
        assert_silent(rule, jar("a.jar"), &PYTHON);
    }

    #[test]
    fn an_archive_in_an_archive_was_packed_twice() {
        let rule = "nested-archive";
        let inner = archive([file("python/a.py", "")]).bytes();
        let alone = one([file("layer.zip", &inner)]);
        assert_found(
            rule,
            alone,
            &[],
            &["warning layer.zip: the layer holds nothing else"],
        );
        let beside = one([file("layer.zip", &inner), file("python/a.py", "")]);
        assert_found(rule, beside, &[], &["warning layer.zip: nobody unpacks it"]);
        let elsewhere = one([
            file("python/pkg/data.zip", &inner),
            file("python/a.py", ""),
            file("not.zip", "text"),
        ]);
        assert_silent(rule, elsewhere, &[]);
    }
}

mod languages {
    use super::*;

    #[test]
    fn a_pth_file_is_read_where_lambda_adds_the_folder() {
        let rule = "pth-file";
        let layers = || {
            one([
                file("python/a.pth", "import a\n"),
                file("python/lib/python3.12/site-packages/b.pth", "/x\n"),
                file("python/lib/python3.11/site-packages/c.pth", "/x\n"),
                file("python/pkg/d.pth", "/x\n"),
            ])
        };
        let python = ["--runtime", "python3.12"];
        let expected = [
            "note python/a.pth",
            "note python/lib/python3.12/site-packages/b.pth",
        ];
        assert_found(rule, layers(), &python, &expected);
        assert_silent(rule, layers(), &["--runtime", "java21"]);
        assert_silent(rule, one([file("python/a.py", "")]), &python);
    }

    #[test]
    fn old_node_finds_no_es_module_in_a_layer() {
        let rule = "es-module-not-found";
        let layers = || {
            let package = |name: &str, json: &str| {
                file(format!("nodejs/node_modules/{name}/package.json"), json)
            };
            one([
                package(
                    "got",
                    r#"{"type":"module","dependencies":{"is-stream":"^4"}}"#,
                ),
                package("is-stream", r#"{"type":"module"}"#),
                package("@a/b", r#"{"type":"module"}"#),
                package(
                    "both",
                    r#"{"type":"module","exports":{"require":"./a.cjs"}}"#,
                ),
                package("old", r#"{"name":"old"}"#),
                package("old/esm", r#"{"type":"module"}"#),
                package("twofold", r#"{"type":"module"}"#),
                package("twofold/cjs", r#"{"type":"commonjs"}"#),
            ])
        };
        let expected = [
            "error nodejs/node_modules/@a/b/package.json: `@a/b`",
            "error nodejs/node_modules/got/package.json: `got`",
        ];
        assert_found(rule, layers(), &["--runtime", "nodejs16.x"], &expected);
        assert_silent(rule, layers(), &["--runtime", "nodejs18.x"]);
        assert_silent(rule, layers(), &["--runtime", "python3.12"]);
    }
}

mod names {
    use super::*;

    #[test]
    fn a_backslash_is_no_separator() {
        let rule = "backslash-in-name";
        let windows = file("python\\requests\\api.py", "")
            .host(FAT)
            .without_mode();
        let expected = ["error python\\requests\\api.py: it is one name, not a path"];
        assert_found(rule, one([windows]), &[], &expected);
        assert_found(
            rule,
            one([file("etc/a\\x2db", "")]),
            &[],
            &["note etc/a\\x2db"],
        );
        assert_silent(rule, one([file("python/requests/api.py", "")]), &[]);
    }

    #[test]
    fn names_that_differ_only_in_case_are_worse_in_two_layers() {
        let rule = "case-clash";
        let two = [
            archive([file("python/PIL/a", "")]),
            archive([file("python/pil/b", "")]),
        ];
        assert_found(rule, two, &[], &["warning python/pil: there is also `PIL`"]);
        let inside = one([file("doc/README", ""), file("doc/readme", "")]);
        assert_found(
            rule,
            inside,
            &[],
            &["note doc/readme: there is also `README`"],
        );
        let accented = one([file("É", ""), file("é", "")]);
        assert_found(rule, accented, &[], &["note é"]);
        assert_silent(
            rule,
            [archive([file("a/b", "")]), archive([file("a/b", "")])],
            &[],
        );
        assert_silent(rule, one([file("a/x", ""), file("b/X", "")]), &[]);
    }

    #[test]
    fn what_file_managers_leave_behind_is_noted() {
        let rule = "junk-file";
        let layers = one([
            file("__MACOSX/python/._a.py", ""),
            file("__MACOSX/._python", ""),
            file("python/.DS_Store", ""),
            file("python/._a.py", ""),
            file("python/a.py", ""),
        ]);
        assert_found(
            rule,
            layers,
            &[],
            &[
                "note __MACOSX: 3 entries",
                "note python/.DS_Store",
                "note python/._a.py",
            ],
        );
        assert_silent(rule, one([file("python/.hidden", "")]), &[]);
    }
}

mod links {
    use super::*;

    #[test]
    fn a_link_without_a_target_dangles_whatever_other_links_do() {
        let rule = "dangling-link";
        let layers = [
            archive([
                link("lib/a", "b"),
                link("lib/loop", "loop"),
                link("lib/good", "../bin/tool"),
                link("lib/later", "/opt/lib/of-2"),
                link("lib/task", "/var/task"),
                link("lib/through", "task/x"),
                link("lib/up", "../.."),
                program("bin/tool"),
            ]),
            archive([file("lib/of-2", "")]),
        ];
        let expected = ["warning lib/a: `b`", "warning lib/loop: `loop`"];
        assert_found(rule, layers, &[], &expected);
        assert_silent(
            rule,
            one([
                link("a", "b"),
                link("b", "/opt/c/../d"),
                directory("c/"),
                file("d", ""),
            ]),
            &[],
        );
    }

    #[test]
    fn links_that_fork_at_every_step_cost_nothing() {
        let mut entries: Vec<Entry> = (0..60)
            .map(|i| link(format!("l{i}"), format!("l{}/l{}", i + 1, i + 1)))
            .collect();
        entries.push(directory("l60/"));
        let found = found("dangling-link", one(entries), &[]);
        assert_eq!(found.len(), 60);
    }

    #[test]
    fn a_link_out_of_opt_is_a_note_where_lambda_has_something() {
        let rule = "link-leaves-opt";
        let layers = one([
            link("a", "/home/build/x"),
            link("b", "../../etc/x"),
            link("c", "/var/task/node_modules"),
            link("d", "/tmp"),
            link("e", "/tmpfile"),
            link("f", "/opt/a"),
            link("g", "d/e"),
        ]);
        assert_found(
            rule,
            layers,
            &[],
            &[
                "warning a: ",
                "warning b: ",
                "warning e: ",
                "note c: ",
                "note d: ",
            ],
        );
    }

    #[test]
    fn a_link_that_was_packed_as_text_is_recognised_by_what_it_names() {
        let rule = "link-stored-as-text";
        let layers = one([
            file("lib/libz.so.1", "libz.so.1.3"),
            file("lib/libz.so.1.3", "\x7fELF"),
            file("lib/libgone.so", "libgone.so.2"),
            file("bin/sh", "../lib/busybox"),
            file("lib/busybox", "\x7fELF"),
            file("python/data/current", "../versions/1"),
            file("python/versions/1", "x"),
        ]);
        assert_found(
            rule,
            layers,
            &[],
            &[
                "error bin/sh: its content is the path `../lib/busybox`",
                "error lib/libgone.so: its content is the text",
                "error lib/libz.so.1: its content is the path",
                "warning python/data/current: ",
            ],
        );
        let good = one([
            link("lib/libz.so.1", "libz.so.1.3"),
            file("lib/libz.so.1.3", "\x7fELF"),
            file("python/top_level.txt", "requests"),
            file("python/WHEEL", "a/b\n"),
            file("python/mime", "text/plain"),
            file("bin/version", "1.2.3"),
        ]);
        assert_silent(rule, good, &[]);
    }
}

#[test]
fn layers_that_disagree_on_a_kind_are_told_with_what_is_lost() {
    let rule = "type-conflict";
    let layers = [
        archive([
            file("data/a", ""),
            file("data/b", ""),
            link("lib64", "lib"),
            file("same", ""),
        ]),
        archive([file("data", ""), file("lib64/c", ""), file("same", "x")]),
    ];
    assert_found(
        rule,
        layers,
        &[],
        &[
            "warning data: a file that replaces the directory of layer 1, and with it 2 objects",
            "warning lib64: a directory that replaces the symlink of layer 1",
        ],
    );
    assert_silent(
        rule,
        [archive([file("a", "")]), archive([file("a", "x")])],
        &[],
    );
}

#[test]
fn a_conflict_of_kinds_is_an_error_where_the_user_says_so() {
    let layers = [archive([file("a/b", "")]), archive([file("a", "")])];
    let error = ["--on-type-conflict", "error"];
    assert_found(
        "type-conflict",
        layers,
        &error,
        &["error a: a file that replaces"],
    );
}

#[test]
fn what_leniency_accepted_is_told() {
    let rule = "accepted-by-lenient";
    let layers = || {
        [archive([
            file("a", "1"),
            file("a", "2"),
            file("b", "").local_name("c"),
        ])]
    };
    let lenient = ["--lenient"];
    let expected = [
        "warning a: the archive names it twice",
        "warning b: the local header names `c`",
    ];
    assert_found(rule, layers(), &lenient, &expected);
    assert_silent(rule, [archive([file("a", "1")])], &lenient);
    let (sandbox, arguments) = stack(layers());
    sandbox.slashopt(&arguments).status(3).has_hint();
}
