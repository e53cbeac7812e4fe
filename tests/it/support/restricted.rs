//! Machines on which not everything is allowed, as words to put in front of a command.

use std::ffi::OsString;
use std::path::Path;

use super::command::Sandbox;
use super::machine::tool;
use super::project::program;

/// Installs a filter that answers chosen system calls with an error, and runs a command under it. Arguments: `NAME=ERRNO`, then
/// `--`, then the command.
const FILTER: &str = r#"
import ctypes, errno, os, platform, struct, sys

NUMBERS = {
    "x86_64": (0xC000003E, {
        "fsconfig": 431, "fsmount": 432, "fsopen": 430, "mount": 165, "mount_setattr": 442, "move_mount": 429,
        "open_tree": 428, "openat2": 437, "pivot_root": 155, "umount2": 166, "unshare": 272,
    }),
    "aarch64": (0xC00000B7, {
        "fsconfig": 431, "fsmount": 432, "fsopen": 430, "mount": 40, "mount_setattr": 442, "move_mount": 429,
        "open_tree": 428, "openat2": 437, "pivot_root": 41, "umount2": 39, "unshare": 97,
    }),
}
architecture, numbers = NUMBERS[platform.machine()]
split = sys.argv.index("--")
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
program = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, 0x7FFF0000), (LOAD, 0, 0, 0)]
for word in sys.argv[1:split]:
    name, _, error = word.partition("=")
    program += [(EQUAL, 0, 1, numbers[name]), (RETURN, 0, 0, 0x00050000 | getattr(errno, error))]
program.append((RETURN, 0, 0, 0x7FFF0000))
code = b"".join(struct.pack("HBBI", *line) for line in program)
buffer = ctypes.create_string_buffer(code, len(code))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
filter = Program(len(program), ctypes.cast(buffer, ctypes.c_void_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS"
assert libc.prctl(22, 2, ctypes.byref(filter), 0, 0) == 0, "PR_SET_SECCOMP"
os.execvp(sys.argv[split + 1], sys.argv[split + 1:])
"#;

fn words(words: impl IntoIterator<Item = impl Into<OsString>>) -> Vec<OsString> {
    words.into_iter().map(Into::into).collect()
}

/// A filter of system calls that answers each of these with an error, such as `mount=EPERM`.
pub(crate) fn filtered(calls: &[&str]) -> Vec<OsString> {
    let mut all = words(["/usr/bin/python3", "-c", FILTER]);
    all.extend(words(calls.iter().copied()));
    all.push("--".into());
    all
}

/// What Docker's default profile answers to who has no capability.
pub(crate) fn as_in_docker() -> Vec<OsString> {
    filtered(&[
        "unshare=EPERM",
        "mount=EPERM",
        "umount2=EPERM",
        "pivot_root=EPERM",
        "fsopen=EPERM",
        "fsconfig=EPERM",
        "fsmount=EPERM",
        "move_mount=EPERM",
        "open_tree=EPERM",
        "mount_setattr=EPERM",
    ])
}

/// A kernel before 5.2: none of the calls that came with it, or since.
pub(crate) fn as_on_an_old_kernel() -> Vec<OsString> {
    filtered(&[
        "fsopen=ENOSYS",
        "fsconfig=ENOSYS",
        "fsmount=ENOSYS",
        "move_mount=ENOSYS",
        "open_tree=ENOSYS",
        "mount_setattr=ENOSYS",
        "openat2=ENOSYS",
    ])
}

/// Root without a capability, on a machine without user namespaces: those of a namespace around it are used up.
pub(crate) fn without_namespaces() -> Vec<OsString> {
    words([
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"",
        "sh",
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ])
}

/// Hides `/var`, but for two folders, then runs commands of the shell, then a program. Arguments: the commands, the folders, the
/// program.
const WITHOUT_VAR: &str = r#"
set -e
prepare=$1 program=$2 sandbox=$3
shift 3
exec 8<"$program" 9<"$sandbox"
mount -t tmpfs -o mode=0755 tmpfs /var
keep() {
  case $2 in
    /var/*) mkdir -p "$2" && mount --no-canonicalize --bind "/proc/self/fd/$1" "$2" ;;
  esac
}
keep 8 "$program"
keep 9 "$sandbox"
exec 8<&- 9<&-
cd "$PWD"
eval "$prepare"
exec "$@"
"#;

/// A machine that has nothing at `/var` but what these commands of the shell make there: no function, no runtime of Lambda, and
/// nothing that stays. Only root can make one. The program and the sandbox are there also where the machine has them below `/var`.
pub(crate) fn with_its_own_var(sandbox: &Sandbox, prepare: &str) -> Vec<OsString> {
    let program = Path::new(program());
    let program = program.parent().expect("it lies in a folder");
    let mut all = words(["unshare", "--mount", "sh", "-c", WITHOUT_VAR, "sh", prepare]);
    all.push(program.into());
    all.push(sandbox.root().into());
    all
}

/// Whether a command may be run so; says that the test is left out if not.
pub(crate) fn skip_unless_allowed(machine: &[OsString]) -> bool {
    let Some((program, rest)) = machine.split_first() else {
        return true;
    };
    let outcome = tool(program).args(rest).arg("true").output();
    match outcome {
        Ok(output) if output.status.success() => false,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!(
                "skipped: this machine cannot be restricted so: {}",
                why.trim()
            );
            true
        }
        Err(error) => {
            eprintln!("skipped: there is no {}: {error}", program.display());
            true
        }
    }
}
