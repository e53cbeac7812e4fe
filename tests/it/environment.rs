//! `slashopt env`, run as a person would: its output goes through real shells and real interpreters.

#![allow(clippy::expect_used, reason = "tests")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::machine::{PATH, path, scratch, tool};
use crate::support::project::program;

/// The program with a known environment and nothing else.
fn slashopt(arguments: &[&OsStr], variables: &[(&str, &OsStr)]) -> Output {
    tool(program())
        .arg("env")
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// What `env` prints for a root, with more arguments; it must succeed.
#[track_caller]
fn printed(root: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut all = vec![OsStr::new("--root"), root.as_os_str()];
    all.extend(arguments.iter().map(OsStr::new));
    let output = slashopt(&all, &[]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The status and the first lines of a failure.
#[track_caller]
fn failure(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    let variables: Vec<(&str, &OsStr)> = variables
        .iter()
        .map(|(name, value)| (*name, OsStr::new(*value)))
        .collect();
    let output = slashopt(&arguments, &variables);
    assert!(
        output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let status = output.status.code().expect("no signal");
    (
        status,
        String::from_utf8(output.stderr).expect("errors are text"),
    )
}

/// A directory with these files, of which each holds its own path below it.
fn tree(root: &Path, files: &[&str]) {
    for file in files {
        write(&root.join(file), file.as_bytes());
    }
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory can be made");
    fs::write(path, content).expect("a file can be written");
}

/// A path at which there is nothing, as the directory is the test's own.
fn absent_from(directory: &tempfile::TempDir, name: &str) -> String {
    let path = directory.path().join(name);
    path.to_str().expect("text").to_owned()
}

/// Runs a script in a shell with the given variables; gives what it printed, and it must succeed.
#[track_caller]
fn shell(shell: &str, script: &[u8], variables: &[(&str, &OsStr)]) -> Vec<u8> {
    let output = tool(shell)
        .arg("-c")
        .arg(OsStr::from_bytes(script))
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the shell starts");
    assert!(
        output.status.success(),
        "{shell}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Directory names that no careless quoting survives.
fn weird_names() -> Vec<OsString> {
    let mut names: Vec<OsString> = [
        "a b",
        "it's",
        "say \"hi\"",
        "$HOME",
        "${HOME}",
        "`id`",
        "$(id)",
        "two\nlines",
        "end\n",
        "a\\b",
    ]
    .into_iter()
    .map(OsString::from)
    .collect();
    names.extend(["*", "[a-z]*", "#x", "~", "-n", "é", "a;b&c|d", "!x"].map(OsString::from));
    names.push(OsString::from_vec(b"not\xffutf8".to_vec()));
    names
}

#[test]
fn a_shell_gets_the_same_value_however_often_and_in_whatever_root() {
    let scratch = scratch();
    let absent = absent_from(&scratch, "absent task");
    for name in weird_names() {
        let root = scratch.path().join(&name);
        tree(&root, &["bin/x", "lib/x", "python/x"]);
        let task_root = root.join("task");
        let script = printed(&root, &["--runtime", "python3.12", "--task-root", &absent]);
        let twice = [
            b"set -eu\n".as_slice(),
            &script,
            &script,
            b"printf '%s' \"$PATH\"",
        ]
        .concat();
        let path = [b"/usr/bin:/bin:", root.join("bin").as_os_str().as_bytes()].concat();
        for interpreter in ["sh", "bash"] {
            let found = shell(
                interpreter,
                &twice,
                &[("PATH", OsStr::new("/usr/bin:/bin"))],
            );
            assert_eq!(found, path, "{interpreter} {name:?}");
        }
        // Evaluated as people do, which drops the newlines at the end of the output.
        let by_eval = format!(
            "set -eu; made=$('{}' env --root \"$ROOT\" --task-root \"$TASK\" --runtime python3.12); \
             eval \"$made\"; eval \"$made\"; printf '%s' \"$PYTHONPATH\"",
            program()
        );
        let variables = [
            ("ROOT", root.as_os_str()),
            ("TASK", task_root.as_os_str()),
            ("PATH", OsStr::new("/usr/bin:/bin")),
        ];
        let python_path = [
            task_root.as_os_str().as_bytes(),
            b":",
            root.join("python").as_os_str().as_bytes(),
        ]
        .concat();
        for interpreter in ["sh", "bash"] {
            let found = shell(interpreter, by_eval.as_bytes(), &variables);
            assert_eq!(found, python_path, "{interpreter} {name:?}");
        }
    }
}

#[test]
fn the_shells_own_path_is_extended_once_and_without_empty_elements() {
    let root = scratch();
    tree(root.path(), &["bin/x", "lib/x"]);
    let bin = root.path().join("bin").display().to_string();
    let script = printed(root.path(), &["--runtime", "provided.al2023"]);
    let lines = [
        b"set -u\n".as_slice(),
        &script,
        &script,
        b"printf '%s' \"$PATH\"",
    ]
    .concat();
    for (before, after) in [
        (None, bin.clone()),
        (Some(String::new()), bin.clone()),
        (Some(":".to_owned()), bin.clone()),
        (Some("/bin:".to_owned()), format!("/bin:{bin}")),
        (Some(":/bin:::/x::".to_owned()), format!("/bin:/x:{bin}")),
        (Some(format!("{bin}:/bin")), format!("{bin}:/bin")),
        (Some(format!("{bin}2:/bin")), format!("{bin}2:/bin:{bin}")),
    ] {
        for interpreter in ["/bin/sh", "/bin/bash"] {
            // Bash gives itself a PATH when it has none.
            if before.is_none() && interpreter == "/bin/bash" {
                continue;
            }
            let unset: &[u8] = if before.is_none() {
                b"unset PATH\n"
            } else {
                b""
            };
            let variables: Vec<(&str, &OsStr)> = before
                .iter()
                .map(|value| ("PATH", OsStr::new(value)))
                .collect();
            let found = shell(interpreter, &[unset, &lines].concat(), &variables);
            assert_eq!(
                String::from_utf8_lossy(&found),
                after,
                "{interpreter} {before:?}"
            );
        }
    }
}

#[test]
fn the_library_path_names_the_systems_directories_before_the_layers() {
    let root = scratch();
    tree(root.path(), &["lib/libcrypto.so.3"]);
    let absent = absent_from(&root, "absent");
    let script = printed(
        root.path(),
        &["--runtime", "python3.12", "--task-root", &absent],
    );
    let script = [script, b"printf '%s' \"$LD_LIBRARY_PATH\"".to_vec()].concat();
    let found = shell("sh", &script, &[("LD_LIBRARY_PATH", OsStr::new("/mine"))]);
    let found = String::from_utf8(found).expect("text");
    let elements: Vec<&str> = found.split(':').collect();
    assert_eq!(elements.first(), Some(&"/mine"));
    let last = root.path().join("lib").display().to_string();
    assert_eq!(
        elements[elements.len() - 3..],
        [absent.clone(), format!("{absent}/lib"), last]
    );
    let systems = &elements[1..elements.len() - 3];
    assert!(
        !systems.is_empty() && systems.iter().all(|one| Path::new(one).is_dir()),
        "{found}"
    );
    // And programs still start.
    assert_eq!(
        shell("sh", b"ls -d /", &[("LD_LIBRARY_PATH", OsStr::new(&found))]),
        b"/\n"
    );
}

#[test]
fn nothing_is_run_by_what_is_assigned() {
    let scratch = scratch();
    let marker = scratch.path().join("run");
    let value = format!(
        "x';touch '{0}';'$(touch '{0}')`touch '{0}'`",
        marker.display()
    );
    let set = format!("--set=GREETING={value}");
    let mut script = printed(scratch.path(), &["--runtime", "java21", &set]);
    script.extend_from_slice(b"printf '%s' \"$GREETING\"");
    let found = shell("sh", &script, &[("PATH", OsStr::new(PATH))]);
    assert_eq!(String::from_utf8_lossy(&found), value);
    assert!(!marker.exists());
    let (status, error) = failure(&["--runtime=java21", "--env=x;touch y=1"], &[]);
    assert_eq!(status, 2);
    assert!(
        error.starts_with("error: cannot print as sh: variable `x;touch y`: "),
        "{error}"
    );
}

#[test]
fn null_separated_variables_begin_with_the_base_path_and_hold_any_bytes() {
    let scratch = scratch();
    let absent = absent_from(&scratch, "absent");
    for name in weird_names() {
        let root = scratch.path().join(&name);
        tree(&root, &["bin/x", "java/lib/a.jar", "java/lib/b.jar"]);
        write(&root.join(OsStr::from_bytes(b"java/lib/c\xff.jar")), b"");
        let arguments = [
            "--runtime",
            "java21",
            "--format",
            "null",
            "--base-path",
            "/a:/b:",
            "--task-root",
            &absent,
        ];
        let out = printed(&root, &arguments);
        assert_eq!(out.last(), Some(&0));
        let below = |path: &[u8]| {
            root.join(OsStr::from_bytes(path))
                .into_os_string()
                .into_vec()
        };
        let path = [b"PATH=/a:/b:".to_vec(), below(b"bin")].concat();
        let jars = [
            below(b"java/lib/a.jar"),
            below(b"java/lib/b.jar"),
            below(b"java/lib/c\xff.jar"),
        ];
        let class_path = [
            format!("CLASSPATH={absent}/:").into_bytes(),
            jars.join(&b':'),
        ]
        .concat();
        assert_eq!(
            out.split(|byte| *byte == 0).collect::<Vec<_>>(),
            [path, class_path, Vec::new()]
        );
    }
}

#[test]
fn without_a_base_path_the_standard_one_is_used_and_not_the_callers() {
    let root = scratch();
    tree(root.path(), &["bin/x"]);
    let out = printed(
        root.path(),
        &[
            "--runtime",
            "provided.al2023",
            "--format",
            "docker",
            "--task-root",
            &absent_from(&root, "absent"),
        ],
    );
    let bin = root.path().join("bin");
    let standard = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(
        String::from_utf8_lossy(&out),
        format!("PATH={standard}:{}\n", bin.display())
    );
}

#[test]
fn dotenv_is_read_alike_by_a_shell_and_by_node_or_refused() {
    let scratch = scratch();
    let values = [
        "plain",
        "a b",
        "it's",
        "two\nlines",
        "#x",
        "a#b",
        "$HOME",
        " padded ",
        "é",
        "=",
        "",
    ];
    let file = scratch.path().join(".env");
    for value in values {
        let set = format!("--set=VALUE={value}");
        let out = printed(
            scratch.path(),
            &["--runtime", "java21", "--format", "dotenv", &set],
        );
        write(&file, &out);
        let script = format!(". '{}'; printf '%s' \"$VALUE\"", file.display());
        assert_eq!(
            shell("sh", script.as_bytes(), &[]),
            value.as_bytes(),
            "{value:?}"
        );
        if let Some(node) = found("node") {
            let output = tool(node)
                .arg(format!("--env-file={}", file.display()))
                .args(["-e", "process.stdout.write(process.env.VALUE)"])
                .env_clear()
                .output()
                .expect("node starts");
            assert_eq!(output.stdout, value.as_bytes(), "{value:?}");
        }
    }
    for value in ["it's $HOME", "${HOME}", "ends with \\", "a\\\\b", "a\rb"] {
        let set = format!("--set=VALUE={value}");
        let (status, error) = failure(&["--runtime=java21", "--format=dotenv", &set], &[]);
        assert_eq!(status, 2);
        assert!(
            error.starts_with("error: cannot print as dotenv: variable `VALUE`: "),
            "{error}"
        );
        assert!(error.contains("\nhint: "), "{error}");
    }
}

#[test]
fn docker_takes_values_as_they_are_and_no_line_breaks() {
    let root = scratch();
    let set = "--set=VALUE='a' \"b\" $c #d";
    let out = printed(root.path(), &["--runtime=java21", "--format=docker", set]);
    let text = String::from_utf8(out).expect("text");
    assert!(
        text.lines().any(|line| line == "VALUE='a' \"b\" $c #d"),
        "{text}"
    );
    let (status, error) = failure(
        &["--runtime=java21", "--format=docker", "--set=VALUE=a\nb"],
        &[],
    );
    assert_eq!(status, 2);
    assert!(
        error.starts_with("error: cannot print as docker: variable `VALUE`: "),
        "{error}"
    );
    assert!(error.contains("\nhint: "), "{error}");
}

#[test]
fn json_has_the_documented_shape_with_sorted_keys() {
    let root = scratch();
    tree(root.path(), &["python/x"]);
    let absent = absent_from(&root, "absent");
    let arguments = [
        "--runtime",
        "python3.12",
        "--format",
        "json",
        "--base-path",
        "/bin",
        "--task-root",
        &absent,
    ];
    let out = printed(root.path(), &arguments);
    let value: Value = serde_json::from_slice(&out).expect("JSON");
    let python = root.path().join("python").display().to_string();
    let expected = json!({
        "schema_version": 1,
        "runtime": "python3.12",
        "target": "host",
        "variables": {"PATH": "/bin", "PYTHONPATH": format!("{absent}:{python}")},
        "search_paths": [
            {"variable": "PATH", "directory": "/bin", "exists": null, "provided_by": []},
            {"variable": "PYTHONPATH", "directory": absent, "exists": false, "provided_by": []},
            {"variable": "PYTHONPATH", "directory": python, "exists": true, "provided_by": []},
        ],
    });
    assert_eq!(value, expected);
    // What serde_json writes from a sorted map is what we write.
    assert_eq!(String::from_utf8_lossy(&out), format!("{expected}\n"));
}

#[test]
fn json_loses_no_byte() {
    let scratch = scratch();
    let root = scratch.path().join(OsStr::from_bytes(b"\xff"));
    tree(&root, &["python/x"]);
    let out = printed(&root, &["--runtime", "python3.12", "--format", "json"]);
    let value: Value = serde_json::from_slice(&out).expect("JSON");
    let text = value["variables"]["PYTHONPATH"]
        .as_str()
        .expect("a lossy text");
    assert!(text.ends_with("\u{fffd}/python"), "{text}");
    assert!(value["variables_bytes"]["PYTHONPATH"].is_string());
    assert!(
        value["search_paths"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|one| one["directory_bytes"].is_string())
    );
}

#[test]
fn lambda_is_printed_as_the_service_has_it() {
    let root = scratch();
    let out = printed(
        root.path(),
        &[
            "--runtime",
            "nodejs20.x",
            "--target",
            "lambda",
            "--format",
            "docker",
        ],
    );
    assert_eq!(
        String::from_utf8_lossy(&out),
        "PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin\n\
         LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib\n\
         NODE_PATH=/opt/nodejs/node20/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task\n\
         LANG=en_US.UTF-8\nTZ=:UTC\nLAMBDA_TASK_ROOT=/var/task\nLAMBDA_RUNTIME_DIR=/var/runtime\n\
         AWS_EXECUTION_ENV=AWS_Lambda_nodejs20.x\nAWS_XRAY_CONTEXT_MISSING=LOG_ERROR\n"
    );
}

#[test]
fn the_runtime_comes_from_the_flag_then_ours_then_awss_variable() {
    let root = scratch();
    let runtime_of = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut all = vec![
            OsStr::new("--root"),
            root.path().as_os_str(),
            OsStr::new("--format=json"),
        ];
        all.extend(arguments.iter().map(OsStr::new));
        let variables: Vec<(&str, &OsStr)> = variables
            .iter()
            .map(|(name, value)| (*name, OsStr::new(*value)))
            .collect();
        let output = slashopt(&all, &variables);
        let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        value["runtime"].as_str().expect("a runtime").to_owned()
    };
    let aws = ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.12");
    let ours = ("SLASHOPT_RUNTIME", "ruby3.4");
    assert_eq!(runtime_of(&["--runtime=java21"], &[aws, ours]), "java21");
    assert_eq!(runtime_of(&[], &[aws, ours]), "ruby3.4");
    assert_eq!(
        runtime_of(&[], &[aws, ("SLASHOPT_RUNTIME", "")]),
        "python3.12"
    );
}

#[test]
fn wrong_usage_ends_with_two_and_says_what_to_do() {
    let root = scratch();
    tree(root.path(), &["python/lib/python3.12/site-packages/x"]);
    let root = root.path().to_str().expect("text");
    let ecs: &[(&str, &str)] = &[("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE")];
    let foreign: &[(&str, &str)] = &[("AWS_EXECUTION_ENV", "AWS_Lambda_python9.9")];
    for (arguments, variables, message, hint) in [
        (
            vec!["--root", root],
            ecs,
            "cannot choose the runtime: --runtime: none is given",
            "the folders in the root suggest `--runtime python3.12`",
        ),
        (
            vec!["--runtime=PYTHON3.12"],
            &[],
            "cannot choose the runtime: --runtime: `PYTHON3.12` is not a runtime of Lambda",
            "write `python3.12`: identifiers are case-sensitive",
        ),
        (
            vec!["--root", root],
            foreign,
            "cannot choose the runtime: AWS_EXECUTION_ENV: `python9.9` is not a runtime of Lambda",
            "did you mean `python3.9`?",
        ),
        (
            vec!["--runtime=java21", "--format=xml"],
            &[],
            "cannot print the environment: --format: unknown format `xml`",
            "use sh, dotenv, docker, json or null",
        ),
        (
            vec!["--runtime=java21", "--root=/a:b"],
            &[],
            "cannot make search paths: the root \"/a:b\": it holds `:`, which separates their entries",
            "choose a directory without `:` in its path",
        ),
        (
            vec!["--runtime=java21", "--set=NAME"],
            &[],
            "cannot read the assignment: \"NAME\": it is not of the form NAME=VALUE",
            "write `--set NAME=VALUE`",
        ),
        (
            vec!["--runtime=java21", "--set=AWS_REGION=x"],
            &[],
            "cannot configure the function: AWS_REGION: Lambda was unable to configure your environment \
             variables because the environment variables you have provided contains reserved keys that \
             are currently not supported for modification. Reserved keys used in this request: AWS_REGION",
            "`--env K=V` sets any variable, also one that a function cannot configure",
        ),
    ] {
        let (status, error) = failure(&arguments, variables);
        assert_eq!(status, 2, "{arguments:?}");
        let lines: Vec<&str> = error
            .lines()
            .filter(|line| !line.starts_with("warning: "))
            .collect();
        assert_eq!(
            lines,
            [format!("error: {message}"), format!("hint: {hint}")],
            "{arguments:?}"
        );
    }
}

#[test]
fn what_the_caller_loses_is_a_warning_that_quiet_hides() {
    let root = scratch();
    let arguments = [
        OsStr::new("--root"),
        root.path().as_os_str(),
        OsStr::new("--runtime=python3.12"),
    ];
    let theirs = [("PYTHONPATH", OsStr::new("/mine"))];
    let warned = slashopt(&arguments, &theirs);
    assert_eq!(
        String::from_utf8_lossy(&warned.stderr),
        "warning: the caller's PYTHONPATH is replaced, not extended\n"
    );
    let quiet = slashopt(
        &[&arguments[..], &[OsStr::new("--quiet")]].concat(),
        &theirs,
    );
    assert!(quiet.stderr.is_empty() && quiet.stdout == warned.stdout);
    let for_docker = slashopt(
        &[&arguments[..], &[OsStr::new("--format=docker")]].concat(),
        &theirs,
    );
    assert!(for_docker.stderr.is_empty());
}

#[test]
fn an_explanation_says_of_every_directory_why_it_is_there() {
    let scratch = scratch();
    let absent = absent_from(&scratch, "absent");
    let root = scratch.path();
    tree(root, &["python/x"]);
    let out = printed(
        root,
        &[
            "--runtime",
            "python3.12",
            "--explain",
            "--task-root",
            &absent,
        ],
    );
    let text = String::from_utf8(out)
        .expect("text")
        .replace(&root.display().to_string(), "ROOT");
    for line in [
        "runtime python3.12, target host",
        "PATH: the caller's commands, then the layers': a layer never shadows a command",
        "PYTHONPATH: Lambda's order of sys.path, without its runtime",
        "LD_LIBRARY_PATH: not set, for it would name nothing that exists",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    for words in [
        vec!["ROOT/absent", "missing", "the", "function's", "code"],
        vec!["ROOT/python", "exists", "the", "layers"],
        vec![
            "ROOT/bin",
            "left",
            "out",
            "the",
            "root",
            "has",
            "no",
            "such",
            "directory",
        ],
        vec!["/usr/bin", "-", "the", "caller's", "own,", "first"],
    ] {
        let has_words = |line: &str| line.split_whitespace().collect::<Vec<_>>() == words;
        assert!(text.lines().any(has_words), "{words:?}\n{text}");
    }
}

/// A program of this machine, if it has it.
fn found(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&path())
        .map(|directory| directory.join(program))
        .find(|one| one.exists())
}

/// What a program prints under the environment of a root, evaluated by a shell; nothing without it.
fn under_environment(
    root: &Path,
    task_root: &Path,
    runtime: &str,
    command: &[&str],
) -> Option<String> {
    let program = found(command[0])?;
    let task_root = task_root.to_str().expect("text");
    let script = printed(root, &["--runtime", runtime, "--task-root", task_root]);
    let script = [script.as_slice(), b"exec \"$@\""].concat();
    let output = tool("sh")
        .arg("-c")
        .arg(OsStr::from_bytes(&script))
        .arg("sh")
        .arg(program)
        .args(&command[1..])
        .output()
        .expect("the shell starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn python_finds_the_function_then_the_versioned_folder_then_the_other() {
    let scratch = scratch();
    let (root, task_root) = (
        scratch.path().join("my opt"),
        scratch.path().join("my task"),
    );
    let versioned = root.join("python/lib/python3.11/site-packages");
    for (directory, modules) in [
        (task_root.as_path(), ["one"].as_slice()),
        (&versioned, &["one", "two"]),
        (&root.join("python"), &["one", "two", "three"]),
    ] {
        for module in modules {
            write(&directory.join(module).with_extension("py"), b"");
        }
    }
    let script =
        "import one, two, three; print(one.__file__, two.__file__, three.__file__, sep='\\n')";
    let Some(out) = under_environment(&root, &task_root, "python3.11", &["python3", "-c", script])
    else {
        return;
    };
    let expected = [
        task_root.join("one.py"),
        versioned.join("two.py"),
        root.join("python/three.py"),
    ];
    assert_eq!(out.lines().map(PathBuf::from).collect::<Vec<_>>(), expected);
}

#[test]
fn node_finds_the_versioned_folder_then_the_other() {
    let scratch = scratch();
    let (root, task_root) = (scratch.path().join("opt"), scratch.path().join("task"));
    for folder in ["nodejs/node20/node_modules", "nodejs/node_modules"] {
        write(
            &root.join(folder).join("one/index.js"),
            format!("module.exports = '{folder}'").as_bytes(),
        );
    }
    write(
        &root.join("nodejs/node_modules/two/index.js"),
        b"module.exports = 'two'",
    );
    let script = "console.log(require('one')); console.log(require('two'))";
    if let Some(out) = under_environment(&root, &task_root, "nodejs20.x", &["node", "-e", script]) {
        assert_eq!(out, "nodejs/node20/node_modules\ntwo\n");
    }
}

#[test]
fn ruby_finds_libraries_and_keeps_its_own_gems() {
    let scratch = scratch();
    let (root, task_root) = (scratch.path().join("opt"), scratch.path().join("task"));
    write(&root.join("ruby/lib/one.rb"), b"ONE = 1");
    let script =
        "require 'one'; require 'json'; puts ONE, Gem.path.size > 1, Gem.path.none?(&:empty?)";
    if let Some(out) = under_environment(&root, &task_root, "ruby3.2", &["ruby", "-e", script]) {
        assert_eq!(out, "1\ntrue\ntrue\n");
    }
}
