//! The hooks that `exec` and `env --hooks` give stock interpreters, judged by real ones: layers' `.pth` files run, and `import`
//! finds layers, as on Lambda.

use std::path::Path;

use crate::real_layers::real;
use crate::support::command::{Finished, Sandbox, skip_unless_root, skip_without};
use crate::support::machine::tool;
use crate::support::project::program;
use crate::support::zip::{archive, file};

/// A sandbox with a layer for each interpreter.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.archive(
        "python.zip",
        &archive([
            file(
                "python/ran.pth",
                "import os; os.environ['PTH'] = os.environ.get('PTH', '') + 'ran'\n",
            ),
            file(
                "python/sitecustomize.py",
                "import builtins; builtins.THEIRS = __file__\n",
            ),
        ]),
    );
    sandbox.archive(
        "node.zip",
        &archive([
            file(
                "nodejs/node_modules/modern/package.json",
                r#"{"name":"modern","type":"module","exports":{".":"./main.js","./below":"./below.js"}}"#,
            ),
            file(
                "nodejs/node_modules/modern/main.js",
                "import old from 'classic'; export default 'modern with ' + old;\n",
            ),
            file(
                "nodejs/node_modules/modern/below.js",
                "export default import.meta.url;\n",
            ),
            file(
                "nodejs/node_modules/classic/package.json",
                r#"{"name":"classic","main":"main.js"}"#,
            ),
            file("nodejs/node_modules/classic/main.js", "module.exports = 'classic';\n"),
        ]),
    );
    sandbox
}

/// `exec` of a command, with these words before it.
fn exec(sandbox: &Sandbox, words: &[&str], command: &[&str]) -> Finished {
    let before = ["exec", "--require-mount"].iter().chain(words);
    let words = before.chain(&["--"]).chain(command);
    sandbox.slashopt(words.copied())
}

const PYTHON: [&str; 3] = ["python.zip", "--runtime", "python3.12"];
const NODE: [&str; 3] = ["node.zip", "--runtime", "nodejs20.x"];
/// Prints whether the layer's `.pth` file ran, and what its own `sitecustomize` said.
const TELL: &str =
    "import os, builtins; print(os.environ.get('PTH'), getattr(builtins, 'THEIRS', None))";
const TOLD: &str = "ran /opt/python/sitecustomize.py\n";
/// Prints what a module and an older package export.
const IMPORT: &str = "const [a, b, c] = [await import('modern'), await import('classic'), await import('modern/below')];
console.log(a.default, b.default, c.default);";
const IMPORTED: &str =
    "modern with classic classic file:///opt/nodejs/node_modules/modern/below.js\n";

/// A command line of Node.js that runs an ES module.
fn module(script: &str) -> [&str; 4] {
    ["node", "--input-type=module", "-e", script]
}

/// Whether the interpreters are here, and may mount.
fn is_left_out(sandbox: &Sandbox, command: &str) -> bool {
    skip_unless_root(sandbox) || skip_without(command)
}

#[test]
fn a_shared_cache_filled_by_root_has_the_hooks_for_who_may_not_write_it() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "python3") {
        return;
    }
    sandbox
        .slashopt(["cache", "add", "python.zip", "--cache-dir", "cache"])
        .success();
    let cache = sandbox.path("cache");
    let before = sandbox.tree("cache");
    let words = ["exec", "--require-mount", "--cache-dir"].map(Path::new);
    let words = words.into_iter().chain([cache.as_path()]);
    let words = words.chain(PYTHON.map(Path::new));
    let words = words.chain(["--", "python3", "-c", TELL].map(Path::new));
    let ran = sandbox
        .command(words)
        .umask(0o077)
        .by_nobody()
        .run()
        .success();
    assert_eq!((ran.stdout(), ran.stderr()), (TOLD, ""));
    sandbox.tree("cache").assert_is(&before);
}

#[test]
fn a_pth_file_of_a_layer_runs_and_the_sitecustomize_of_a_layer_has_its_turn() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "python3") {
        return;
    }
    let told = |words: &[&str]| {
        let words = [&PYTHON, words].concat();
        let ran = exec(&sandbox, &words, &["python3", "-c", TELL]).success();
        ran.stdout().to_owned()
    };
    assert_eq!(told(&[]), TOLD);
    assert_eq!(
        told(&["--no-hooks"]),
        "None /opt/python/sitecustomize.py\n",
        "without the hook Python runs the sitecustomize alone"
    );
    assert_eq!(
        told(&["--target", "bootstrap"]),
        "None None\n",
        "there AWS's own bootstrap adds the layers"
    );
}

#[test]
fn the_path_of_python_is_in_lambdas_order_without_a_directory_of_ours() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "python3") {
        return;
    }
    sandbox.archive(
        "both.zip",
        &archive([
            file("python/one.py", ""),
            file("python/lib/python3.12/site-packages/two.py", ""),
        ]),
    );
    let script = "import os, sys
print(sys.path[1:4])
print(os.environ['SLASHOPT_SITE_DIRECTORIES'])
print([entry for entry in sys.path if 'hooks' in entry])";
    let words = ["both.zip", "--runtime", "python3.12"];
    let ran = exec(&sandbox, &words, &["python3", "-c", script]).success();
    let in_order = [
        "/var/task",
        "/opt/python/lib/python3.12/site-packages",
        "/opt/python",
    ];
    let listed: Vec<String> = in_order.iter().map(|entry| format!("'{entry}'")).collect();
    assert_eq!(
        ran.stdout(),
        format!("[{}]\n{}\n[]\n", listed.join(", "), in_order.join(":"))
    );
}

#[test]
fn a_sitecustomize_that_fails_is_told_as_without_us() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "python3") {
        return;
    }
    let broken = archive([file(
        "python/sitecustomize.py",
        "raise ValueError('theirs')\n",
    )]);
    sandbox.archive("broken.zip", &broken);
    for words in [&["broken.zip"][..], &["broken.zip", "--no-hooks"]] {
        let words = [words, &["--runtime", "python3.12"]].concat();
        let ran = exec(&sandbox, &words, &["python3", "-c", "print('goes on')"]).success();
        assert_eq!(ran.stdout(), "goes on\n");
        ran.stderr_contains("ValueError: theirs");
    }
}

#[test]
fn a_pth_file_of_a_real_package_runs() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "python3") {
        return;
    }
    let layer = real("python-coloredlogs");
    let layer = layer.to_str().expect("it is in our own target directory");
    let script = "import logging; print(bool(logging.root.handlers))";
    for (words, expected) in [(&[][..], "True\n"), (&["--no-hooks"], "False\n")] {
        let words = [words, &[layer, "--runtime", "python3.12"]].concat();
        let words = [&words[..], &["--env", "COLOREDLOGS_AUTO_INSTALL=true"]].concat();
        let ran = exec(&sandbox, &words, &["python3", "-c", script]).success();
        assert_eq!(ran.stdout(), expected);
    }
}

#[test]
fn import_finds_modules_and_packages_of_a_layer() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "node") {
        return;
    }
    let ran = exec(&sandbox, &NODE, &module(IMPORT)).success();
    assert_eq!(ran.stdout(), IMPORTED);
    for more in [&["--no-hooks"][..], &["--target", "bootstrap"]] {
        exec(&sandbox, &[&NODE, more].concat(), &module(IMPORT))
            .status(1)
            .stderr_contains("ERR_MODULE_NOT_FOUND");
    }
    let words = ["node.zip", "--runtime", "nodejs16.x"];
    exec(&sandbox, &words, &module(IMPORT))
        .status(1)
        .stderr_contains("ERR_MODULE_NOT_FOUND");
}

#[test]
fn an_import_of_what_is_nowhere_fails_as_without_us() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "node") {
        return;
    }
    let said = |more: &[&str], script: &str| {
        let script = format!(
            "try {{ {script} }} catch (error) {{ console.log(error.code, error.message) }}"
        );
        let ran = exec(&sandbox, &[&NODE, more].concat(), &module(&script)).success();
        ran.stdout().to_owned()
    };
    for script in [
        "await import('nowhere')",
        "await import('@no/where/at/all')",
        "await import('./nowhere.mjs')",
        "await import('/nowhere.mjs')",
        "await import('node:nowhere')",
        "await import('#nowhere')",
        "await import('')",
    ] {
        let stock = said(&["--no-hooks"], script);
        assert!(!stock.is_empty(), "{script}");
        assert_eq!(said(&[], script), stock, "{script}");
    }
    // What a package does not export is no missing package.
    assert!(
        said(&[], "await import('modern/main.js')").starts_with("ERR_PACKAGE_PATH_NOT_EXPORTED ")
    );
}

#[test]
fn node_options_of_the_caller_are_kept() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "node") {
        return;
    }
    let script = format!("{IMPORT}\nconsole.log(process.title);");
    let words = ["exec", "--require-mount"].into_iter().chain(NODE);
    let words = words.chain(["--"]).chain(module(&script));
    let ran = sandbox
        .command(words)
        .env("NODE_OPTIONS", "--title=theirs")
        .run()
        .success();
    assert_eq!(ran.stdout(), format!("{IMPORTED}theirs\n"));
}

#[test]
fn what_env_prints_is_what_exec_sets_and_works() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "node") || skip_without("python3") {
        return;
    }
    for (words, names) in [
        (PYTHON, &["PYTHONPATH", "SLASHOPT_SITE_DIRECTORIES"][..]),
        (NODE, &["NODE_PATH", "NODE_OPTIONS"]),
    ] {
        let before = ["env", "--hooks", "--format", "null"].into_iter();
        let printed = sandbox.slashopt(before.chain(words)).success();
        let set = exec(&sandbox, &words, &["env", "-0"]).success();
        for name in names {
            let of = |text: &str| {
                let found = text
                    .split('\0')
                    .find(|one| one.starts_with(&format!("{name}=")));
                found.map(str::to_owned)
            };
            assert_eq!(of(printed.stdout()), of(set.stdout()), "{name}");
            assert!(of(set.stdout()).is_some(), "{name}");
        }
    }
    for (layer, root, runtime, script) in [
        (
            PYTHON[0],
            "one",
            PYTHON[2],
            ["python3", "-c", TELL].to_vec(),
        ),
        (NODE[0], "two", NODE[2], module(IMPORT).to_vec()),
    ] {
        sandbox
            .slashopt(["extract", layer, "--into", root])
            .success();
        let eval = r#"eval "$("$0" env --hooks --runtime "$1" --root "$2")"; shift 2; exec "$@""#;
        let words = ["sh", "-c", eval, program(), runtime, root];
        let mut command = tool(words[0]);
        let ran = command
            .args(&words[1..])
            .args(&script)
            .current_dir(sandbox.work())
            .env("HOME", sandbox.home())
            .output()
            .expect("a shell can be started");
        let place = sandbox.path(root).display().to_string();
        let expected = if layer == NODE[0] {
            // It says where a module is by its URL.
            IMPORTED.replace("/opt", &place.replace(' ', "%20"))
        } else {
            TOLD.replace("/opt", &place)
        };
        assert_eq!(String::from_utf8_lossy(&ran.stdout), expected, "{ran:?}");
    }
}

#[test]
fn nothing_of_ours_lies_in_opt() {
    let sandbox = sandbox();
    if skip_unless_root(&sandbox) {
        return;
    }
    let ran = exec(&sandbox, &PYTHON, &["find", "/opt", "-type", "f"]).success();
    let mut files: Vec<&str> = ran.stdout().lines().collect();
    files.sort_unstable();
    assert_eq!(
        files,
        ["/opt/python/ran.pth", "/opt/python/sitecustomize.py"]
    );
}

#[test]
fn hooks_are_found_from_every_directory_when_the_cache_is_named_from_here() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "node") || skip_without("python3") {
        return;
    }
    let elsewhere = ["sh", "-c", "cd / && exec \"$@\"", "sh"];
    let named = ["--cache-dir", "cache"];
    let words = [&NODE[..], &named].concat();
    let ran = exec(
        &sandbox,
        &words,
        &[&elsewhere[..], &module(IMPORT)].concat(),
    )
    .success();
    assert_eq!(ran.stdout(), IMPORTED);
    let words = [&PYTHON[..], &named].concat();
    let python = ["python3", "-c", TELL];
    let ran = exec(&sandbox, &words, &[&elsewhere[..], &python].concat()).success();
    assert_eq!(ran.stdout(), TOLD);
}

#[test]
fn a_user_who_cannot_read_the_hooks_gets_none_and_is_told_so() {
    let sandbox = sandbox();
    if is_left_out(&sandbox, "node") || skip_without("python3") {
        return;
    }
    let user = ["--user", "65534:65534"];
    // A cache in a home is private.
    let ran = exec(&sandbox, &[&NODE[..], &user].concat(), &["node", "-p", "1"]).success();
    assert_eq!(ran.stdout(), "1\n");
    ran.stderr_contains("no hook for the interpreter is set")
        .stderr_contains("65534");
    let shared = ["--cache-dir", "cache"];
    let words = [&NODE[..], &user, &shared].concat();
    let ran = exec(&sandbox, &words, &module(IMPORT)).success();
    assert_eq!((ran.stdout(), ran.stderr()), (IMPORTED, ""));
}
