//! `exec` as the entrypoint of a container, in a root file system of static binaries: what the README's Dockerfiles promise, with
//! nothing in it but busybox and the program.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::bare::install;
use crate::support::command::{Sandbox, skip_unless_root, skip_without};
use crate::support::machine::tool;
use crate::support::project::program;
use crate::support::restricted::{as_in_docker, skip_unless_allowed};
use crate::support::zip::{archive, file};

/// The commands of busybox that the image has.
const COMMANDS: [&str; 6] = ["cat", "echo", "env", "id", "ls", "sh"];

/// The variables that a Dockerfile sets.
const VARIABLES: [(&str, &str); 4] = [
    ("PATH", "/usr/local/bin:/bin"),
    ("SLASHOPT_CACHE_DIR", "/var/cache/slashopt"),
    ("SLASHOPT_LAYERS", "/layers/base.zip,/layers/deps.zip"),
    ("SLASHOPT_RUNTIME", "python3.13"),
];

/// Builds the image: the layers' trees are in its cache already.
fn image(sandbox: &Sandbox) -> Option<PathBuf> {
    if skip_unless_root(sandbox) || skip_without("busybox") {
        return None;
    }
    let root = sandbox.mkdir("image", 0o755);
    for name in ["layers", "opt", "proc", "dev", "var", "var/cache"] {
        sandbox.mkdir(format!("image/{name}"), 0o755);
    }
    let found = tool("sh").args(["-c", "command -v busybox"]).output();
    let busybox = String::from_utf8(found.ok()?.stdout).ok()?;
    install(&root, busybox.trim(), "bin/busybox")?;
    install(&root, program(), "usr/local/bin/slashopt")?;
    for command in COMMANDS {
        symlink("busybox", root.join("bin").join(command)).expect("it is ours");
    }
    let tool = "#!/bin/sh\ncat /opt/data\necho \"$PYTHONPATH\"\n";
    let base = archive([
        file("bin/tool", tool).mode(0o755),
        file("data", "of base\n"),
        file("python/module.py", ""),
        file("extensions/agent", "#!/bin/sh\n").mode(0o755),
    ]);
    let deps = archive([file("data", "of deps\n")]);
    for (name, layer) in [("base", base), ("deps", deps)] {
        fs::write(root.join(format!("layers/{name}.zip")), layer.bytes()).expect("it is ours");
    }
    let built = started(
        &root,
        &["/usr/sbin/chroot", "."].map(OsString::from),
        &["slashopt", "cache", "add"],
    );
    assert!(built.status.success(), "{}", words(&built.stderr));
    Some(root)
}

/// Starts a command in the image, which is entered by these words.
fn started(root: &Path, entered: &[OsString], command: &[&str]) -> Output {
    let (program, rest) = entered.split_first().expect("there is a program");
    tool(program)
        .args(rest)
        .args(command)
        .current_dir(root)
        .env_clear()
        .envs(VARIABLES)
        .output()
        .expect("it can be started")
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ways into the image, by name, and whether layers can be mounted in there.
fn containers(root: &Path) -> Vec<(&'static str, Vec<OsString>, bool)> {
    let root = root.display().to_string();
    let proc = format!("--mount-proc={root}/proc");
    let owned = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let namespaces = owned(&[
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        &proc,
        "/usr/sbin/chroot",
        &root,
    ]);
    let mapped = [
        owned(&["unshare", "--user", "--map-root-user"]),
        namespaces.clone(),
    ]
    .concat();
    let bubble = |more: &[&str]| {
        let plain = [
            "bwrap", "--bind", &root, "/", "--proc", "/proc", "--dev", "/dev",
        ];
        owned(&[&plain[..], &["--unshare-pid"], more].concat())
    };
    let docker = [as_in_docker(), owned(&["/usr/sbin/chroot", &root])].concat();
    let mut all = vec![
        ("namespaces of root's", namespaces, true),
        ("a user namespace", mapped, true),
        ("Docker's filter of system calls", docker, false),
    ];
    if !skip_without("bwrap") {
        all.push(("bubblewrap", bubble(&["--cap-add", "ALL"]), true));
        all.push(("bubblewrap without capabilities", bubble(&[]), true));
    }
    all.retain(|(_, entered, _)| {
        // There is no `true` in the image to try it with.
        let outside = entered
            .iter()
            .take_while(|word| !word.to_string_lossy().ends_with("chroot"));
        let outside: Vec<OsString> = outside.cloned().collect();
        entered[0] == "bwrap" || !skip_unless_allowed(&outside)
    });
    all
}

#[test]
fn an_entrypoint_shows_the_layers_however_its_container_is_made() {
    let sandbox = Sandbox::new();
    let Some(root) = image(&sandbox) else { return };
    let root_of = |name: &str| fs::metadata(root.join(name)).expect("it is there");
    for (name, entered, is_mounted) in containers(&root) {
        let before = root_of("opt").ino();
        for start in ["first", "second"] {
            let entrypoint = ["slashopt", "exec", "--", "tool"];
            let ended = started(&root, &entered, &entrypoint);
            let said = words(&ended.stderr);
            assert!(ended.status.success(), "{name}, {start}: {said}");
            assert_eq!(
                words(&ended.stdout),
                "of deps\n/var/cache/slashopt/hooks/VERSION/python:/var/task:/opt/python\n"
                    .replace("VERSION", &hooks(&root)),
                "{name}, {start}: {said}"
            );
            assert!(
                said.contains("note: 1 extension is not started: agent\n"),
                "{name}: {said}"
            );
            let is_extracted = said
                .contains("note: the layers are extracted to `/opt`, as they cannot be mounted");
            assert_eq!(is_extracted, !is_mounted, "{name}, {start}: {said}");
            for line in said.lines() {
                let is_known = line.starts_with("note: ")
                    || line == "warning: later layers override paths: 1 with other content";
                assert!(is_known, "{name}, {start}: {line}");
            }
        }
        let opt = fs::read_dir(root.join("opt")).expect("it is there").count();
        assert_eq!(
            opt > 0,
            !is_mounted,
            "{name}: what is mounted is gone with the container"
        );
        if is_mounted {
            assert_eq!(root_of("opt").ino(), before, "{name}");
        } else {
            fs::remove_dir_all(root.join("opt")).expect("it is ours");
            fs::create_dir(root.join("opt")).expect("it is ours");
        }
    }
}

/// The one version of the hooks that the image's cache holds.
fn hooks(root: &Path) -> String {
    let versions = fs::read_dir(root.join("var/cache/slashopt/hooks")).expect("it is there");
    let mut names = versions.map(|entry| entry.expect("it can be listed").file_name());
    let name = names.next().expect("there is one").display().to_string();
    assert_eq!(names.next(), None);
    name
}

#[test]
fn over_an_image_of_aws_the_bootstrap_finds_the_layers_and_nothing_else_of_ours() {
    let sandbox = Sandbox::new();
    let Some(root) = image(&sandbox) else { return };
    let script = |name: &str, text: &str| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("it lies in the root")).expect("it is ours");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("it is ours");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    };
    // The image's own entrypoint starts the bootstrap, which adds the layers' directories itself where none are set.
    script("lambda-entrypoint.sh", "exec /var/runtime/bootstrap \"$@\"");
    script(
        "var/runtime/bootstrap",
        "echo \"$@\"; cat /opt/data; env; ls /opt",
    );
    for (name, entered, _) in containers(&root) {
        let entrypoint = [
            "slashopt",
            "exec",
            "--",
            "/lambda-entrypoint.sh",
            "app.handler",
        ];
        let ended = started(&root, &entered, &entrypoint);
        let (shown, said) = (words(&ended.stdout), words(&ended.stderr));
        assert!(ended.status.success(), "{name}: {said}");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[..2], ["app.handler", "of deps"], "{name}: {shown}");
        for line in [
            "PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            "LAMBDA_TASK_ROOT=/var/task",
            "AWS_EXECUTION_ENV=AWS_Lambda_python3.13",
        ] {
            assert!(lines.contains(&line), "{name}: {line}: {shown}");
        }
        for variable in ["PYTHONPATH=", "NODE_", "SLASHOPT_SITE"] {
            let is_set = lines.iter().any(|line| line.starts_with(variable));
            assert!(!is_set, "{name}: {variable}: {shown}");
        }
    }
}
