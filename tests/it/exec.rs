//! `exec`: what a command sees at `/opt`, how it is started, and that nothing stays.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::support::command::{Checked, Finished, Invocation, NOBODY, Sandbox, skip_unless_root};
use crate::support::machine::{absent, tool};
use crate::support::project::program;
use crate::support::restricted::{as_in_docker, skip_unless_allowed, with_its_own_var};
use crate::support::strace::{injected, skip_without_strace, traced};
use crate::support::zip::{archive, directory, file, link};

/// Who starts a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum User {
    Root,
    Nobody,
}

const USERS: [User; 2] = [User::Root, User::Nobody];

/// A sandbox with two layers, in which nobody can write where he has to.
fn sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    if skip_unless_root(&sandbox) {
        return None;
    }
    for name in ["home", "tmp"] {
        let mode = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(sandbox.root().join(name), mode).expect("it is ours");
    }
    sandbox.archive(
        "one.zip",
        &archive([
            directory("bin/"),
            file("bin/tool", "#!/bin/sh\necho tool of one\n").mode(0o755),
            file("python/shared.py", "WHO = 'one'\n"),
            file("only/one", "1"),
            link("link", "only/one"),
        ]),
    );
    sandbox.archive(
        "two.zip",
        &archive([
            file("python/shared.py", "WHO = 'two'\n"),
            file("only/two", "2").mode(0o600),
        ]),
    );
    Some(sandbox)
}

impl User {
    /// `slashopt exec` with these arguments by this user, with a cache of his own.
    fn exec<'s>(self, sandbox: &'s Sandbox, arguments: &[&str]) -> Invocation<'s> {
        let command = sandbox.command([&["exec"], arguments].concat());
        let cache = sandbox.home().join(format!(".cache-{self:?}"));
        // What interpreters are given besides has tests of its own.
        let command = command
            .env("XDG_CACHE_HOME", cache)
            .env("SLASHOPT_NO_HOOKS", "true");
        match self {
            // Where root may make `/var/task`, and where what lies there may be started, it is not this machine's.
            Self::Root
                if ["--task-root", "provided.al2023"]
                    .iter()
                    .any(|word| arguments.contains(word)) =>
            {
                command.under(with_its_own_var(sandbox, ""))
            }
            Self::Root => command,
            Self::Nobody => command.by_nobody(),
        }
    }

    /// The same with both layers, a mount and a Python runtime.
    fn runs(self, sandbox: &Sandbox, command: &[&str]) -> Checked {
        let layers = [
            "one.zip",
            "two.zip",
            "--runtime",
            "python3.12",
            "--require-mount",
            "--",
        ];
        let finished = self.exec(sandbox, &[&layers, command].concat()).run();
        finished.success()
    }
}

#[test]
fn the_layers_are_merged_at_opt() {
    let Some(sandbox) = sandbox() else { return };
    for user in USERS {
        for temperature in ["cold", "warm"] {
            let seen = user.runs(
                &sandbox,
                &[
                    "sh",
                    "-c",
                    "cat /opt/python/shared.py /opt/link; tool; ls /opt",
                ],
            );
            assert_eq!(
                seen.stdout(),
                "WHO = 'two'\n1tool of one\nbin\nlink\nonly\npython\n",
                "{user:?} {temperature}"
            );
        }
    }
}

#[test]
fn the_command_takes_the_place_of_the_process() {
    let Some(sandbox) = sandbox() else { return };
    for user in USERS {
        for _cold_then_warm in 0..2 {
            let finished = user
                .exec(
                    &sandbox,
                    &["one.zip", "two.zip", "--", "sh", "-c", "echo $$ $PPID"],
                )
                .under(["sh", "-c", "echo $$ $PPID; exec \"$@\"", "sh"])
                .run()
                .success();
            let lines: Vec<&str> = finished.stdout().lines().collect();
            assert_eq!(lines.len(), 2);
            assert_eq!(lines[0], lines[1], "{user:?}: same process, same parent");
        }
    }
}

/// Starts a command in a state that no command is usually started in.
const ODD_STATE: &str = r#"
import os, resource, signal, sys
os.umask(0o027)
resource.setrlimit(resource.RLIMIT_NOFILE, (333, 444))
resource.setrlimit(resource.RLIMIT_CORE, (0, 4096))
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
for name in sys.argv[1].split(","):
    if name.startswith("ignore-"):
        signal.signal(getattr(signal, name[7:]), signal.SIG_IGN)
    elif name.startswith("block-"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [getattr(signal, name[6:])])
    elif name.startswith("close-"):
        os.close(int(name[6:]))
    elif name == "keep-7":
        os.dup2(os.open("/dev/zero", os.O_RDONLY), 7, inheritable=True)
os.chdir("/usr")
words = sys.argv[3:]
if sys.argv[2] == "bare":
    words = words[words.index("--") + 1:]
os.execvp(words[0], words)
"#;

/// Commands that print what a process has from the one before it, each of itself: a shell would change some of it.
const TELL: [&[&str]; 6] = [
    &["cat", "/proc/self/status"],
    &[
        "cat",
        "/proc/self/limits",
        "/proc/self/oom_score_adj",
        "/proc/self/sessionid",
    ],
    &["python3", "-c", TELL_DESCRIPTORS],
    &[
        "readlink",
        "/proc/self/cwd",
        "/proc/self/root",
        "/proc/self/exe",
    ],
    &["cat", "/proc/self/cmdline"],
    &["env", "-0"],
];

/// Prints the descriptors that are open, and to what.
const TELL_DESCRIPTORS: &str = r#"
import os
for number in range(1024):
    try:
        print("fd", number, os.readlink(f"/proc/self/fd/{number}"))
    except OSError:
        pass
"#;

/// The fields of `/proc/self/status` that a process hands on.
const HANDED_ON: [&str; 13] = [
    "Umask",
    "PPid",
    "Uid",
    "Gid",
    "Groups",
    "Threads",
    "SigPnd",
    "ShdPnd",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "NoNewPrivs",
    "Seccomp",
];

#[test]
fn everything_is_handed_on_as_to_the_bare_command() {
    let Some(sandbox) = sandbox() else { return };
    let state = "ignore-SIGUSR1,block-SIGUSR2,block-SIGTERM";
    for state in [
        state.to_owned(),
        format!("{state},ignore-SIGPIPE,keep-7"),
        format!("{state},close-0,block-SIGCHLD"),
        format!("{state},ignore-SIGCHLD,ignore-SIGHUP"),
    ] {
        for user in USERS {
            are_handed_on(&sandbox, user, &state, &Ground::Mounted);
        }
        are_handed_on(&sandbox, User::Nobody, &state, &Ground::MountedIfPossible);
    }
    let machine = as_in_docker();
    if !skip_unless_allowed(&machine) {
        for user in USERS {
            let state = format!("{state},ignore-SIGCHLD,keep-7");
            are_handed_on(&sandbox, user, &state, &Ground::Extracted(&machine));
        }
    }
}

/// What a command is to stand on.
enum Ground<'g> {
    /// A mount, and nothing else would do: no child goes ahead into a user namespace.
    Mounted,
    /// A mount, for which a child goes ahead into a user namespace, as the layers could be extracted too.
    MountedIfPossible,
    /// An extracted root, on this machine.
    Extracted(&'g [OsString]),
}

/// Compares what a command is handed on in such a state by us, cold and warm, and without us.
#[track_caller]
fn are_handed_on(sandbox: &Sandbox, user: User, state: &str, ground: &Ground<'_>) {
    let layers = ["one.zip", "two.zip"].map(|layer| {
        let layer = with_digest(sandbox, layer);
        format!("{}/{layer}", sandbox.work().display())
    });
    let own = sandbox.root().join("tmp").join(format!(
        "{user:?}-{state}-{}",
        matches!(ground, Ground::Extracted(_))
    ));
    let at = own.join("opt").display().to_string();
    let (flags, machine, is_mounted) = match *ground {
        Ground::Mounted => (vec!["--require-mount", "--at", "/opt"], &[][..], true),
        Ground::MountedIfPossible => (vec!["--at", &at], &[][..], true),
        Ground::Extracted(machine) => (vec!["--at", &at], machine, false),
    };
    for tell in TELL {
        let words: Vec<&str> = ["exec", "--quota", "off", "--quiet", &layers[0], &layers[1]]
            .into_iter()
            .chain(flags.iter().copied())
            .chain(["--"])
            .chain(tell.iter().copied())
            .collect();
        let run = |how| {
            let command = sandbox
                .command(&words)
                .env("XDG_CACHE_HOME", &own)
                .under(machine)
                .under(["python3", "-c", ODD_STATE, state, how]);
            let command = match user {
                User::Root => command,
                User::Nobody => command.by_nobody(),
            };
            command.run().success()
        };
        let bare = run("bare");
        for temperature in ["cold", "warm"] {
            let ours = run("ours");
            assert_eq!(
                comparable(ours.stdout()),
                comparable(bare.stdout()),
                "{user:?}, {temperature}, {state}, {tell:?}"
            );
            let locks = |text: &str| text.lines().filter(|line| is_lock(line)).count();
            let is_locked = is_mounted && tell[1] == "-c";
            assert_eq!(
                locks(ours.stdout()),
                locks(bare.stdout()) + usize::from(is_locked),
                "{}",
                ours.stdout()
            );
        }
    }
}

/// A line of [`TELL`] on the one descriptor that the command has besides its own.
fn is_lock(line: &str) -> bool {
    let number = line
        .strip_prefix("fd ")
        .and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
    number.is_some_and(|number| number >= 200)
}

/// Without what differs by design: the lock, and the paths to which folders are added.
fn comparable(text: &str) -> Vec<String> {
    let is_status = text.contains("\nUmask:");
    text.split(['\n', '\0'])
        // On a machine that has a `/var/task`, libraries are looked up there.
        .filter(|line| !is_lock(line) && !line.starts_with("LD_LIBRARY_PATH=/var/task"))
        .filter(|line| {
            let field = line.split(':').next().unwrap_or_default();
            !is_status || HANDED_ON.contains(&field)
        })
        .map(|line| match line.rsplit_once(':') {
            Some((path, ours)) if line.starts_with("PATH=") && ours.ends_with("/opt/bin") => {
                path.to_owned()
            }
            // Pipes have numbers.
            _ if line.starts_with("fd ") => {
                line.split("pipe:").next().unwrap_or_default().to_owned()
            }
            _ => line.to_owned(),
        })
        .collect()
}

#[test]
fn a_working_directory_stays_the_same_one_also_where_its_path_leads_elsewhere_or_nowhere() {
    let Some(sandbox) = sandbox() else { return };
    let own = sandbox.root().join("tmp").join("directories");
    // As root it is made, and left to nobody: under the target, where nobody may search, and removed.
    let begin = r#"
set -e
mkdir -p "$1/at/inside" "$1/private/inside" "$1/gone" "$1/plain" "$1/target"
for directory in at/inside private/inside plain; do echo "$directory" >"$1/$directory/note"; done
chown -R 65534:65534 "$1"
chown 0 "$1/private"
chmod 0700 "$1/private"
cd "$1/$2"
if [ "$2" = gone ]; then rmdir "$1/gone"; fi
shift 2
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
"#;
    let layer = sandbox.work().join("one.zip").display().to_string();
    let own = own.display().to_string();
    let run = |directory: &str, target: &str, command: &[&str]| {
        let at = format!("{own}/{target}");
        let words = [&["exec", &layer, "--quiet", "--at", &at, "--"][..], command].concat();
        sandbox
            .command(&words)
            .copied()
            .env("XDG_CACHE_HOME", format!("{own}/cache/{directory}"))
            .under(["sh", "-c", begin, "sh", &own, directory])
            .run()
    };
    for (directory, target) in [
        ("plain", "target"),
        ("at/inside", "at"),
        ("private/inside", "target"),
    ] {
        // Cold and warm.
        for _ in 0..2 {
            let note = run(directory, target, &["cat", "note"]).success();
            assert_eq!(note.stdout().trim(), directory);
        }
    }
    let is_gone = "stat -L -c %h /proc/self/cwd; grep -cF \" $0 \" /proc/self/mountinfo";
    let at = format!("{own}/target").replace(' ', r"\040");
    let told = run("gone", "target", &["sh", "-c", is_gone, &at]).success();
    assert_eq!(
        told.stdout(),
        "0\n1\n",
        "it is removed, and a mount is there"
    );
}

#[test]
fn the_status_is_the_commands() {
    let Some(sandbox) = sandbox() else { return };
    let text = sandbox.write("text", "no program").display().to_string();
    let folder = sandbox.work().display().to_string();
    for user in USERS {
        let ends = |command: &[&str]| {
            let arguments = [&["one.zip", "--require-mount", "--"], command].concat();
            user.exec(&sandbox, &arguments).run()
        };
        ends(&["true"]).success();
        ends(&["sh", "-c", "exit 7"]).status(7);
        assert_eq!(ends(&["sh", "-c", "kill -TERM $$"]).signal(), Some(15));
        assert_eq!(ends(&["sh", "-c", "kill -KILL $$"]).signal(), Some(9));
        ends(&["no-such-command"])
            .status(127)
            .stderr_contains("`no-such-command`: No such file or directory")
            .has_hint();
        ends(&[&absent()]).status(127);
        ends(&[&text])
            .status(126)
            .stderr_contains(&format!("`{text}`: Permission denied"));
        ends(&[&folder]).status(126);
    }
}

#[test]
fn a_missing_interpreter_is_named() {
    let Some(sandbox) = sandbox() else { return };
    let interpreter = absent();
    let script = sandbox.write("script", format!("#!{interpreter}\n"));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    User::Root
        .exec(&sandbox, &["one.zip", "--", "./script"])
        .run()
        .status(127)
        .stderr_contains(&format!(
            "hint: the command's interpreter is missing here: `{interpreter}`"
        ));
}

#[test]
fn a_script_without_a_first_line_is_the_shells() {
    let Some(sandbox) = sandbox() else { return };
    let script = sandbox.write("script", "echo \"$0 $1\"\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let seen = User::Root
        .exec(&sandbox, &["one.zip", "--", "./script", "argument"])
        .run()
        .success();
    assert_eq!(seen.stdout(), "./script argument\n");
}

#[test]
fn failures_of_ours_have_a_status_of_their_own() {
    let Some(sandbox) = sandbox() else { return };
    let ends = |arguments: &[&str]| User::Root.exec(&sandbox, arguments).run().status(125);
    ends(&["--", "true"])
        .stderr_contains("no layer is named")
        .has_hint();
    ends(&["missing.zip", "--", "true"]).stderr_contains("layer 1 of 1 (`missing.zip`)");
    ends(&["one.zip"])
        .stderr_contains("none is given")
        .has_hint();
    ends(&["one.zip", "--no-such-flag", "--", "true"]);
    ends(&["one.zip", "--runtime", "python9", "--", "true"]).has_hint();
    ends(&["one.zip", "--at", "/", "--", "true"]).has_hint();
    ends(&["one.zip", "--set", "AWS_REGION=x", "--", "true"]).stderr_contains("reserved keys");
    ends(&["one.zip", "--user", "root", "--", "true"]);
    ends(&["one.zip", "--task-root", "missing", "--", "true"]).has_hint();
    sandbox.write("bad.zip", "this is no archive");
    ends(&["bad.zip", "--", "true"]).has_hint();
}

#[test]
fn nothing_can_be_written_unless_that_is_wanted() {
    let Some(sandbox) = sandbox() else { return };
    let write = "echo new >/opt/new && echo more >>/opt/only/one && rm /opt/link && cat /opt/new /opt/only/one && ls /opt";
    for user in USERS {
        let arguments = [
            "one.zip",
            "two.zip",
            "--require-mount",
            "--",
            "sh",
            "-c",
            write,
        ];
        user.exec(&sandbox, &arguments)
            .run()
            .status(2)
            .stderr_contains("Read-only file system");
        let writable = [&["--writable"], arguments.as_slice()].concat();
        for _again in 0..2 {
            let seen = user.exec(&sandbox, &writable).run().success();
            assert_eq!(
                seen.stdout(),
                "new\n1more\nbin\nnew\nonly\npython\n",
                "{user:?}"
            );
        }
        let seen = user.runs(&sandbox, &["sh", "-c", "cat /opt/link; ls /opt"]);
        assert_eq!(seen.stdout(), "1bin\nlink\nonly\npython\n", "{user:?}");
    }
}

#[test]
fn what_belongs_to_another_user_is_not_made_writable() {
    let Some(sandbox) = sandbox() else { return };
    let shared = sandbox.path("shared").display().to_string();
    sandbox
        .slashopt(["cache", "add", "one.zip", "two.zip", "--cache-dir", &shared])
        .success();
    let layers = ["one.zip", "two.zip"].map(|layer| with_digest(&sandbox, layer));
    let run = |flags: &[&str]| {
        let arguments = [
            &[layers[0].as_str(), &layers[1], "--cache-dir", &shared],
            flags,
            &["--", "tool"],
        ];
        User::Nobody.exec(&sandbox, &arguments.concat()).run()
    };
    assert_eq!(
        run(&["--require-mount"]).success().stdout(),
        "tool of one\n"
    );
    run(&["--writable"])
        .status(125)
        .stderr_contains("belongs to another user")
        .has_hint();
}

#[test]
fn in_an_image_with_a_bootstrap_the_bootstrap_gets_what_it_expects() {
    let Some(sandbox) = sandbox() else { return };
    let image = "mkdir /var/runtime && : >/var/runtime/bootstrap";
    let arguments = ["one.zip", "two.zip", "--runtime", "python3.12", "--", "env"];
    let seen = User::Root
        .exec(&sandbox, &arguments)
        .under(with_its_own_var(&sandbox, image))
        .run()
        .success();
    let has = |line: &str| seen.stdout().lines().any(|one| one == line);
    assert!(has("LAMBDA_TASK_ROOT=/var/task"), "{}", seen.stdout());
    assert!(
        has("AWS_EXECUTION_ENV=AWS_Lambda_python3.12"),
        "{}",
        seen.stdout()
    );
    assert!(!seen.stdout().contains("PYTHONPATH="), "{}", seen.stdout());
}

#[test]
fn no_layer_is_an_empty_directory() {
    let Some(sandbox) = sandbox() else { return };
    for user in USERS {
        let seen = user
            .exec(
                &sandbox,
                &[
                    "--require-mount",
                    "--",
                    "sh",
                    "-c",
                    "stat -c '%a %Y' /opt; ls -A /opt; touch /opt/x",
                ],
            )
            .env("SLASHOPT_LAYERS", "")
            .run()
            .status(1);
        assert_eq!(seen.stdout(), "755 315532800\n", "{user:?}");
    }
}

#[test]
fn an_entrypoint_takes_everything_from_variables() {
    let Some(sandbox) = sandbox() else { return };
    let seen = User::Root
        .exec(&sandbox, &["--", "sh", "-c", "tool; echo $PYTHONPATH"])
        .env("SLASHOPT_LAYERS", "one.zip,two.zip")
        .env("SLASHOPT_RUNTIME", "python3.12")
        .run()
        .success()
        .stderr_lacks("note:");
    assert_eq!(seen.stdout(), "tool of one\n/var/task:/opt/python\n");
}

#[test]
fn without_a_runtime_only_commands_and_libraries_are_found() {
    let Some(sandbox) = sandbox() else { return };
    let seen = User::Root
        .exec(
            &sandbox,
            &["one.zip", "--", "sh", "-c", "tool; echo ${PYTHONPATH-none}"],
        )
        .run()
        .success()
        .stderr_contains("note: no runtime is named");
    assert_eq!(seen.stdout(), "tool of one\nnone\n");
}

#[test]
fn the_environment_is_the_one_that_env_prints() {
    let Some(sandbox) = sandbox() else { return };
    let flags = [
        "--runtime",
        "python3.12",
        "--set",
        "GREETING=hello",
        "--env",
        "AWS_REGION=eu-central-1",
    ];
    for target in ["host", "lambda", "bootstrap"] {
        let printed = sandbox
            .command(
                [
                    &[
                        "env", "one.zip", "two.zip", "--target", target, "--format", "json",
                    ],
                    flags.as_slice(),
                ]
                .concat(),
            )
            .run()
            .success()
            .json();
        let arguments = [
            &["one.zip", "two.zip", "--target", target, "--clean-env"],
            flags.as_slice(),
            &["--", "/usr/bin/env", "-0"],
        ]
        .concat();
        let seen = User::Root.exec(&sandbox, &arguments).run().success();
        let mut seen: Vec<&str> = seen.stdout().split_terminator('\0').collect();
        seen.sort_unstable();
        let variables = printed["variables"].as_object().expect("it is one object");
        let expected: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().expect("values are text")))
            .collect();
        assert_eq!(seen, expected, "{target}");
    }
}

#[test]
fn the_callers_variables_stay_unless_they_are_unwanted() {
    let Some(sandbox) = sandbox() else { return };
    let shows = |flags: &[&str]| {
        let arguments = [
            &["one.zip", "two.zip", "--runtime", "python3.12"],
            flags,
            &["--", "sh", "-c", "echo ${MINE-none} $PYTHONPATH"],
        ]
        .concat();
        let command = User::Root.exec(&sandbox, &arguments);
        command
            .env("MINE", "1")
            .env("PYTHONPATH", "/mine")
            .run()
            .success()
    };
    let seen = shows(&[]).stderr_contains("the caller's PYTHONPATH is replaced");
    assert_eq!(seen.stdout(), "1 /var/task:/opt/python\n");
    let seen = shows(&["--clean-env"]).stderr_lacks("is replaced");
    assert_eq!(seen.stdout(), "none /var/task:/opt/python\n");
    let seen = shows(&["--env", "PYTHONPATH=/other"]);
    assert_eq!(seen.stdout(), "1 /other\n");
}

#[test]
fn a_task_root_is_seen_at_var_task_and_started_in() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.mkdir("code", 0o755);
    sandbox.write("code/app.py", "print('app')\n");
    for user in USERS {
        let seen = user
            .exec(
                &sandbox,
                &[
                    "one.zip",
                    "two.zip",
                    "--runtime",
                    "python3.12",
                    "--task-root",
                    "code",
                    "--",
                    "sh",
                    "-c",
                    "pwd -P; echo $PWD; ls; ls /opt; echo $PYTHONPATH; echo no >app.py",
                ],
            )
            .env("PWD", "/elsewhere")
            .run()
            .status(2);
        assert_eq!(
            seen.stdout(),
            "/var/task\n/var/task\napp.py\nbin\nlink\nonly\npython\n/var/task:/opt/python\n",
            "{user:?}"
        );
        assert_eq!(sandbox.tree("code").text("app.py"), "print('app')\\n");
    }
}

/// Who could extract the layers instead has a child make the mounts, and follows it to where they are: also where nothing stands at
/// `/var/task`, so that the root has to be made anew to have it there.
#[test]
fn a_task_root_is_seen_also_where_the_layers_could_be_extracted() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.mkdir("code", 0o755);
    sandbox.write("code/app.py", "print('app')\n");
    let place = sandbox.mkdir("place", 0o777);
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let at = place.canonicalize().expect("it is there").join("opt");
    let at = at.to_str().expect("text");
    let show = format!("pwd -P; ls; ls '{at}'; echo $PYTHONPATH; tool; id -u; ls -d /tmp");
    let expected = format!(
        "/var/task\napp.py\nbin\nlink\nonly\npython\n/var/task:{at}/python\ntool of one\n{NOBODY}\n/tmp\n"
    );
    let arguments = [
        "exec",
        "one.zip",
        "two.zip",
        "--at",
        at,
        "--runtime",
        "python3.12",
        "--task-root",
        "code",
        "--",
        "sh",
        "-c",
        &show,
    ];
    let become_nobody =
        format!("exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups \"$@\"");
    let without_task = become_nobody.clone();
    let with_task = format!("mkdir /var/task && {become_nobody}");
    for machine in [&with_task, &without_task] {
        for _cold_then_warm in 0..2 {
            let command = sandbox.command(arguments).copied();
            let seen = command
                .under(with_its_own_var(&sandbox, machine))
                .env("SLASHOPT_NO_HOOKS", "true")
                .run();
            let seen = seen.success().stderr_lacks("extracted");
            assert_eq!(seen.stdout(), expected, "{machine:?}");
        }
    }
}

#[test]
fn an_os_only_runtime_starts_the_bootstrap_that_lambda_would() {
    let Some(sandbox) = sandbox() else { return };
    let script = |text: &str| file("bootstrap", format!("#!/bin/sh\n{text}\n")).mode(0o755);
    sandbox.archive(
        "runtime.zip",
        &archive([script("echo of the layer; pwd -P")]),
    );
    sandbox.mkdir("code", 0o755);
    let arguments = [
        "runtime.zip",
        "--runtime",
        "provided.al2023",
        "--task-root",
        "code",
    ];
    let starts = || User::Root.exec(&sandbox, &arguments).run();
    assert_eq!(starts().success().stdout(), "of the layer\n/var/task\n");
    let own = sandbox.write(
        "code/bootstrap",
        "#!/bin/sh\necho of the function; pwd -P\n",
    );
    starts().status(126);
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("it is ours");
    assert_eq!(starts().success().stdout(), "of the function\n/var/task\n");
    User::Root
        .exec(&sandbox, &["one.zip", "--runtime", "provided.al2023"])
        .run()
        .status(127)
        .stderr_contains("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
        .has_hint();
}

#[test]
fn a_wrapper_starts_the_command_as_on_lambda() {
    let Some(sandbox) = sandbox() else { return };
    let wrapper = "#!/bin/sh\necho \"wrapped: $*\"\nexport FROM_WRAPPER=1\nexec \"$@\"\n";
    sandbox.archive(
        "wrapper.zip",
        &archive([
            file("wrapper", wrapper).mode(0o755),
            file("plain", "text"),
            file("bootstrap", "#!/bin/sh\necho bootstrap\n").mode(0o755),
        ]),
    );
    let starts = |variable: &str, more: &[&str]| {
        let command = ["--", "sh", "-c", "echo ${FROM_WRAPPER-none}"];
        let runtime = ["wrapper.zip", "--runtime", "python3.12"];
        let arguments = [&runtime, more, &command].concat();
        let command = User::Root.exec(&sandbox, &arguments);
        command.env("AWS_LAMBDA_EXEC_WRAPPER", variable).run()
    };
    assert_eq!(
        starts("/opt/wrapper", &[]).success().stdout(),
        "wrapped: sh -c echo ${FROM_WRAPPER-none}\n1\n"
    );
    assert_eq!(starts("", &[]).success().stdout(), "none\n");
    assert_eq!(
        starts("/opt/wrapper", &["--no-wrapper"]).success().stdout(),
        "none\n"
    );
    assert_eq!(
        starts("/opt/wrapper", &["--target", "bootstrap"])
            .success()
            .stdout(),
        "none\n"
    );
    starts("/opt/missing", &[])
        .status(127)
        .stderr_contains("/opt/missing: does not exist");
    starts("/opt/plain", &[])
        .status(126)
        .stderr_contains("/opt/plain: is not an executable");
    let seen = User::Root
        .exec(&sandbox, &["wrapper.zip", "--runtime", "provided.al2023"])
        .env("AWS_LAMBDA_EXEC_WRAPPER", "/opt/wrapper")
        .run()
        .success();
    assert_eq!(seen.stdout(), "bootstrap\n");
}

#[test]
fn extensions_are_named_and_not_started() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.archive(
        "extensions.zip",
        &archive([
            file("extensions/b", "#!/bin/sh\nexit 1\n").mode(0o755),
            file("extensions/a", "#!/bin/sh\nexit 1\n").mode(0o755),
            file("extensions/folder/c", ""),
        ]),
    );
    User::Root
        .exec(&sandbox, &["extensions.zip", "--", "true"])
        .run()
        .success()
        .stderr_contains("note: 2 extensions are not started: a, b\n");
    sandbox.archive(
        "off.zip",
        &archive([file("disable-extensions-jwigqn8j", "")]),
    );
    User::Root
        .exec(&sandbox, &["extensions.zip", "off.zip", "--", "true"])
        .run()
        .success()
        .stderr_lacks("extensions are");
}

/// A directory that layers are mounted on, with an interpreter in it, a script for it outside, and a link to a program inside.
fn with_programs_at_the_target(sandbox: &Sandbox) -> String {
    let at = sandbox.mkdir("at", 0o755);
    sandbox.mkdir("at/bin", 0o755);
    sandbox.mkdir("bin", 0o755);
    let interpreter = sandbox.path("at/bin/interpreter");
    fs::copy("/bin/sh", &interpreter).expect("the shell can be copied");
    let script = sandbox.write(
        "bin/script",
        // Not by its whole path, which may hold a space.
        "#!at/bin/interpreter\necho script\n",
    );
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    std::os::unix::fs::symlink(&interpreter, sandbox.path("bin/linked"))
        .expect("a link can be made");
    at.display().to_string()
}

#[test]
fn a_command_that_the_layers_would_hide_is_refused() {
    let Some(sandbox) = sandbox() else { return };
    let at = with_programs_at_the_target(&sandbox);
    let path = format!("{}:{}/bin:/usr/bin:/bin", sandbox.path("bin").display(), at);
    for user in USERS {
        let starts = |flags: &[&str], command: &str| {
            let arguments = [
                &["one.zip", "--at", &at],
                flags,
                &["--", command, "-c", "echo started"],
            ]
            .concat();
            user.exec(&sandbox, &arguments).env("PATH", &path).run()
        };
        for (command, hidden) in [
            ("interpreter", "the command, `"),
            ("linked", "the command, `"),
            ("script", "the command's interpreter, `"),
        ] {
            starts(&[], command)
                .status(125)
                .stderr_contains(&format!("the layers would hide {hidden}"))
                .stderr_contains("--at DIR")
                .stderr_contains("--keep-host");
            let seen = starts(&["--keep-host"], command).success();
            assert!(
                seen.stdout().starts_with('s'),
                "{command}: {}",
                seen.stdout()
            );
        }
        // What a layer brings at the same place is not hidden.
        sandbox.archive(
            "brings.zip",
            &archive([file("bin/interpreter", "#!/bin/sh\necho of the layer\n").mode(0o755)]),
        );
        let seen = user
            .exec(&sandbox, &["brings.zip", "--at", &at, "--", "interpreter"])
            .env("PATH", &path)
            .run()
            .success();
        assert_eq!(seen.stdout(), "of the layer\n", "{user:?}");
    }
}

#[test]
fn what_was_there_stays_visible_if_it_is_to() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.mkdir("at", 0o755);
    sandbox.mkdir("at/only", 0o755);
    sandbox.write("at/only/one", "the host's");
    sandbox.write("at/only/host", "the host's");
    for user in USERS {
        for layers in [&["one.zip"][..], &["one.zip", "two.zip"], &[]] {
            let flags = [
                "--at",
                "at",
                "--keep-host",
                "--require-mount",
                "--",
                "sh",
                "-c",
                "cd at; echo *; cat only/one only/host",
            ];
            let seen = user
                .exec(&sandbox, &[layers, &flags].concat())
                .env("SLASHOPT_LAYERS", "")
                .run()
                .success();
            let expected = if layers.is_empty() {
                "only\nthe host'sthe host's"
            } else {
                "bin link only python\n1the host's"
            };
            assert_eq!(seen.stdout(), expected, "{user:?} {layers:?}");
        }
    }
}

#[test]
fn a_place_that_nobody_can_make_is_made_for_the_command_alone() {
    let Some(sandbox) = sandbox() else { return };
    let at = absent();
    let seen = User::Nobody
        .exec(
            &sandbox,
            &[
                "one.zip",
                "two.zip",
                "--at",
                &at,
                "--require-mount",
                "--",
                "sh",
                "-c",
                "pwd -P; tool; ls -d /usr/bin/env /proc/self/status /tmp; echo x >/x",
            ],
        )
        .run()
        .status(2);
    let work = sandbox.work().canonicalize().expect("it is there");
    assert_eq!(
        seen.stdout(),
        format!(
            "{}\ntool of one\n/proc/self/status\n/tmp\n/usr/bin/env\n",
            work.display()
        )
    );
    assert!(!Path::new(&at).exists(), "the machine's root is as it was");
}

#[test]
fn another_user_can_be_named_by_root() {
    let Some(sandbox) = sandbox() else { return };
    let shows = [
        "--user",
        "65534:65534",
        "--",
        "sh",
        "-c",
        "id -u; id -g; id -G; cat /opt/only/two",
    ];
    let arguments = [&["one.zip", "two.zip"][..], &shows].concat();
    User::Root
        .exec(&sandbox, &arguments)
        .run()
        .status(1)
        .says("65534\n65534\n65534\n")
        .stderr_contains("Permission denied");
    User::Nobody
        .exec(
            &sandbox,
            &[&["one.zip", "--user", "0:0"][..], &["--", "true"]].concat(),
        )
        .run()
        .status(125)
        .stderr_contains("cannot become user 0");
}

#[test]
fn the_power_of_a_user_namespace_is_given_up() {
    let Some(sandbox) = sandbox() else { return };
    let show = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status; umount /opt 2>/dev/null && echo unmounted; true";
    let seen = User::Nobody.runs(&sandbox, &["sh", "-c", show]);
    for line in seen.stdout().lines() {
        assert!(line.ends_with("0000000000000000"), "{line}");
    }
    let seen = User::Nobody
        .exec(
            &sandbox,
            &[
                "one.zip",
                "two.zip",
                "--keep-caps",
                "--",
                "sh",
                "-c",
                "grep ^CapBnd /proc/self/status",
            ],
        )
        .run()
        .success();
    assert!(
        !seen.stdout().contains("0000000000000000"),
        "{}",
        seen.stdout()
    );
    // A root that has its rights from nowhere else keeps them.
    let bare = fs::read_to_string("/proc/self/status").expect("there is a /proc");
    let bound = bare
        .lines()
        .find(|line| line.starts_with("CapBnd"))
        .expect("it has the field");
    let seen = User::Root.runs(&sandbox, &["grep", "^CapBnd", "/proc/self/status"]);
    assert_eq!(seen.stdout().trim_end(), bound);
}

#[test]
fn there_is_one_thread_until_the_command_starts() {
    let Some(sandbox) = sandbox() else { return };
    if skip_without_strace(&sandbox) {
        return;
    }
    let layers = ["one.zip", "two.zip"].map(|layer| with_digest(&sandbox, layer));
    for temperature in ["cold", "warm"] {
        let (finished, calls) = traced(
            &sandbox,
            User::Root.exec(
                &sandbox,
                &[&layers[0], &layers[1], "--require-mount", "--", "true"],
            ),
        );
        finished.success();
        let ours = calls.first().expect("there are calls").thread;
        let of_ours: Vec<_> = calls.iter().filter(|call| call.thread == ours).collect();
        let threads = of_ours
            .iter()
            .filter(|call| call.text.contains("CLONE_THREAD"));
        assert_eq!(threads.count(), 0, "{temperature}");
        assert!(
            of_ours.iter().any(|call| call.name == "unshare"),
            "{temperature}: it was traced"
        );
        if temperature == "warm" {
            let children = calls.iter().filter(|call| call.thread != ours).count();
            assert_eq!(children, 0, "a warm start of root's forks nothing");
            let archives = calls
                .iter()
                .filter(|call| call.name == "openat" && call.text.contains(".zip"));
            assert_eq!(archives.count(), 0, "a warm start opens no archive");
        }
    }
}

/// A layer with its digest: what was written this moment is not believed to be what was read in it.
fn with_digest(sandbox: &Sandbox, layer: &str) -> String {
    let output = tool("sha256sum")
        .arg(sandbox.path(layer))
        .output()
        .expect("sha256sum is there");
    let text = String::from_utf8(output.stdout).expect("it is text");
    let digest = text.split(' ').next().expect("the digest comes first");
    format!("{layer}@sha256:{digest}")
}

/// The mounts that everybody sees.
fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("there is a /proc");
    // Other tests mount in their own sandboxes.
    text.lines()
        .filter(|line| line.contains(" /opt "))
        .map(str::to_owned)
        .collect()
}

/// The processes that have something to do with a sandbox.
fn processes_of(sandbox: &Sandbox) -> Vec<OsString> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("there is a /proc").flatten() {
        let is_process = entry
            .file_name()
            .as_encoded_bytes()
            .iter()
            .all(u8::is_ascii_digit);
        let directory = fs::read_link(entry.path().join("cwd"));
        if is_process && directory.is_ok_and(|directory| directory.starts_with(sandbox.root())) {
            found.push(entry.file_name());
        }
    }
    found
}

#[test]
fn nothing_stays_whoever_is_killed_and_when() {
    let Some(sandbox) = sandbox() else { return };
    if skip_without_strace(&sandbox) {
        return;
    }
    let before = mounts();
    let arguments = [
        "one.zip",
        "two.zip",
        "--require-mount",
        "--",
        "sh",
        "-c",
        "kill -KILL $$",
    ];
    for user in USERS {
        let killed = user.exec(&sandbox, &arguments).run();
        assert_eq!(killed.signal(), Some(9), "{killed}");
        for call in [
            "fsopen",
            "fsmount",
            "move_mount",
            "mount",
            "mkdirat",
            "renameat2",
            "flock",
        ] {
            // Another user's cache, so that each is killed while it is filled.
            let command = user.exec(&sandbox, &arguments).env(
                "XDG_CACHE_HOME",
                sandbox.root().join("tmp").join(format!("{user:?}-{call}")),
            );
            drop(killed_in(call, command));
            assert_eq!(processes_of(&sandbox), [] as [&OsStr; 0], "{user:?} {call}");
            let again = user
                .exec(
                    &sandbox,
                    &[
                        "one.zip",
                        "two.zip",
                        "--require-mount",
                        "--",
                        "cat",
                        "/opt/link",
                    ],
                )
                .env(
                    "XDG_CACHE_HOME",
                    sandbox.root().join("tmp").join(format!("{user:?}-{call}")),
                )
                .run()
                .success();
            assert_eq!(again.stdout(), "1", "{user:?} {call}");
        }
    }
    assert_eq!(mounts(), before);
}

#[test]
fn a_running_command_loses_no_file_and_leaves_no_lock() {
    let Some(sandbox) = sandbox() else { return };
    let program = program();
    let cache = sandbox.path("cache").display().to_string();
    // As if the last use were long ago.
    let prune = format!(
        r#"find "{cache}" -exec touch -h -d 2020-01-01 {{}} +; "{program}" cache prune --max-size 0 --older-than 0s --cache-dir "{cache}""#
    );
    // Layers that no other test runs meanwhile: a tree is in use also where another cache has one of the same name.
    for (name, path) in [("left.zip", "left"), ("right.zip", "right")] {
        sandbox.archive(
            name,
            &archive([file(path, format!("the {path} of one that runs"))]),
        );
    }
    let layers = ["left.zip", "right.zip", "--cache-dir", &cache];
    for shell in ["exec sh -c", "sh -c"] {
        let command = format!("{shell} '{prune}; cat /opt/left /opt/right; kill -KILL $$'");
        let arguments = [
            &layers[..],
            &["--require-mount", "--", "sh", "-c", &command],
        ]
        .concat();
        let seen = User::Root.exec(&sandbox, &arguments).run();
        assert!(seen.code() != Some(0), "it was killed: {seen}");
        let both = "the left of one that runsthe right of one that runs";
        assert!(seen.stdout.ends_with(both), "{seen}");
    }
    let trees = || {
        fs::read_dir(sandbox.path("cache/trees"))
            .expect("it is there")
            .count()
    };
    assert_ne!(trees(), 0);
    let pruned = tool("sh").args(["-c", &prune]).status();
    assert!(pruned.is_ok_and(|status| status.success()));
    assert_eq!(trees(), 0, "nobody holds a lock any more");
}

/// Kills every process of a command at its first call of this name; some make none.
fn killed_in(call: &str, command: Invocation<'_>) -> Finished {
    command.under(injected(call, "signal=KILL", "1")).run()
}

#[test]
fn directories_are_shown_as_they_are_if_they_are_to_live() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.mkdir("layer", 0o755);
    sandbox.mkdir("layer/bin", 0o755);
    let tool = sandbox.write("layer/bin/tool", "#!/bin/sh\necho first\n");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("it is ours");
    for user in USERS {
        let change = format!(
            "tool; {}",
            if user == User::Root {
                "echo 'echo second' >layer/bin/tool; tool"
            } else {
                "true"
            }
        );
        let seen = user
            .exec(
                &sandbox,
                &["one.zip", "layer", "--live", "--", "sh", "-c", &change],
            )
            .run()
            .success();
        match user {
            User::Root => assert_eq!(seen.stdout(), "first\nsecond\n"),
            User::Nobody => assert_eq!(seen.stdout(), "second\n"),
        }
    }
}

#[test]
fn older_calls_mount_the_same() {
    let Some(sandbox) = sandbox() else { return };
    for user in USERS {
        for calls in ["descriptors", "strings", "classic"] {
            for flags in [&[][..], &["--writable"]] {
                for layers in [&[][..], &["one.zip"], &["one.zip", "two.zip"]] {
                    let show = [
                        "--require-mount",
                        "--",
                        "sh",
                        "-c",
                        "cd /opt; find . -printf '%p %M %T@ %l\n' | sort",
                    ];
                    let seen = |calls: &str| {
                        let finished = user
                            .exec(&sandbox, &[layers, flags, &show].concat())
                            .env("SLASHOPT_LAYERS", "")
                            .env("SLASHOPT_MOUNT_CALLS", calls)
                            .run()
                            .success();
                        finished.stdout().to_owned()
                    };
                    assert_eq!(
                        seen(calls),
                        seen("descriptors"),
                        "{user:?} {calls} {flags:?} {layers:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_root_of_the_machine_is_not_touched() {
    let Some(sandbox) = sandbox() else { return };
    let before = fs::metadata("/opt")
        .map(|about| (about.ino(), about.mtime()))
        .ok();
    for user in USERS {
        user.runs(&sandbox, &["true"]);
    }
    let after = fs::metadata("/opt")
        .map(|about| (about.ino(), about.mtime()))
        .ok();
    assert!(before.is_none() || before == after);
}
