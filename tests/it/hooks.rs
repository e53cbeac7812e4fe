//! The hooks that `exec` and `env --hooks` give stock interpreters, judged by real ones: layers' `.pth` files run, and `import`
//! finds layers, as on Lambda.

use std::path::Path;

use crate::support::command::{Finished, Sandbox, skip_unless_root, skip_without};
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
/// Prints what an ES module and a CommonJS package export.
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
