//! What happens when it cannot be done: the status, a message that names layer and entry, a hint, and nothing left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::command::{Checked, Sandbox, skip_unless_root};
use crate::support::machine::tool;
use crate::support::zip::{
    Archive, ENCRYPTED, Entry, Field, S_IFIFO, archive, directory, file, link,
};

/// A sandbox with good layers as `base.zip` and `top.zip`; what is wrong goes between them as `deps.zip`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.archive("base.zip", &archive([file("base", "good")]));
    sandbox.archive("top.zip", &archive([file("top", "good")]));
    sandbox
}

/// Extracts the three layers, which must fail with this status, name the layer, give a hint, and leave nothing behind.
#[track_caller]
fn fails(sandbox: &Sandbox, status: i32) -> Checked {
    let before = sandbox.everything();
    let temporary = || crate::support::tree::Tree::read(&sandbox.root().join("tmp")).paths();
    let checked = sandbox
        .slashopt([
            "extract", "base.zip", "deps.zip", "top.zip", "--into", "opt",
        ])
        .status(status)
        .stderr_contains("layer 2 of 3 (`deps.zip`)")
        .has_hint();
    sandbox.everything().assert_is(&before);
    assert!(temporary().is_empty(), "left in $TMPDIR: {:?}", temporary());
    checked
}

/// The same for an archive that must be refused, naming the entry.
#[track_caller]
fn refuses(deps: &Archive, entry: &str) -> Checked {
    let sandbox = sandbox();
    sandbox.archive("deps.zip", deps);
    fails(&sandbox, 3).stderr_contains(entry)
}

/// An archive with a good entry before and behind.
fn around(entry: Entry) -> Archive {
    archive([file("before", "good"), entry, file("behind", "good")])
}

mod the_layer_as_a_whole {
    use super::*;

    #[test]
    fn a_missing_file() {
        fails(&sandbox(), 4);
    }

    #[test]
    fn a_file_that_cannot_be_read() {
        let sandbox = sandbox();
        if skip_unless_root(&sandbox) {
            return;
        }
        sandbox.archive("deps.zip", &archive([]));
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(sandbox.path("deps.zip"), mode).unwrap();
        sandbox.mkdir("own", 0o777);
        sandbox
            .command([
                "extract", "base.zip", "deps.zip", "top.zip", "--into", "own/opt",
            ])
            .by_nobody()
            .run()
            .status(4)
            .stderr_contains("layer 2 of 3 (`deps.zip`)")
            .has_hint();
        assert!(sandbox.tree("own").paths().is_empty());
    }

    #[test]
    fn not_a_zip() {
        for content in [&b""[..], b"PK", b"just text", &[0; 4096]] {
            let sandbox = sandbox();
            sandbox.write("deps.zip", content);
            fails(&sandbox, 3);
        }
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let sandbox = sandbox();
        let made = tool("mkfifo").arg(sandbox.path("deps.zip")).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no `mkfifo`");
            return;
        }
        sandbox
            .slashopt([
                "extract", "base.zip", "deps.zip", "top.zip", "--into", "opt",
            ])
            .failure()
            .stderr_contains("layer 2 of 3 (`deps.zip`)");
        assert!(!sandbox.everything().has("opt"));
    }

    #[test]
    fn a_truncated_zip() {
        let whole = archive([file("a", vec![b'x'; 500]), file("b", "y").deflated()])
            .comment("end")
            .bytes();
        for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            let sandbox = sandbox();
            sandbox.write("deps.zip", &whole[..length]);
            fails(&sandbox, 3);
        }
    }

    #[test]
    fn a_truncated_zip_on_standard_input() {
        let sandbox = sandbox();
        let whole = archive([file("a", "x")]).bytes();
        sandbox
            .command(["extract", "base.zip", "-", "--into", "opt"])
            .stdin(&whole[..whole.len() - 1])
            .run()
            .status(3)
            .stderr_contains("layer 2 of 2 (`-`)")
            .has_hint();
        assert!(!sandbox.everything().has("opt"));
    }

    #[test]
    fn of_several_bad_layers_the_lowest_is_named() {
        let sandbox = sandbox();
        sandbox.write("deps.zip", "bad");
        sandbox.write("top.zip", "bad");
        for threads in ["1", "2", "64"] {
            sandbox
                .slashopt([
                    "extract",
                    "base.zip",
                    "deps.zip",
                    "top.zip",
                    "--into",
                    "opt",
                    "--threads",
                    threads,
                ])
                .status(3)
                .stderr_contains("layer 2 of 3 (`deps.zip`)")
                .stderr_lacks("layer 3 of 3");
        }
    }
}

mod entries {
    use super::*;

    #[test]
    fn a_wrong_crc() {
        for bad in [
            file("lib/bad.so", "content"),
            file("lib/bad.so", "content").deflated(),
        ] {
            refuses(&around(bad.in_both(Field::Crc, 0x0bad_cafe)), "lib/bad.so");
        }
    }

    #[test]
    fn a_wrong_crc_of_zero() {
        let bad = file("lib/bad.so", "content").in_both(Field::Crc, 0);
        refuses(&around(bad), "lib/bad.so");
    }

    #[test]
    fn a_wrong_crc_of_a_link() {
        let bad = link("bad-link", "target").in_both(Field::Crc, 1);
        refuses(&around(bad), "bad-link");
    }

    #[test]
    fn a_size_that_lies() {
        for size in [3, 11, 900] {
            let bad = file("lib/bad.so", "ten bytes!").deflated();
            refuses(&around(bad.in_both(Field::Size, size)), "lib/bad.so");
        }
    }

    #[test]
    fn a_damaged_stream() {
        let bad = file("lib/bad.so", "content")
            .deflated()
            .raw_data([0xff; 12]);
        refuses(&around(bad), "lib/bad.so");
    }

    #[test]
    fn bytes_behind_the_end_of_a_stream() {
        let mut data = crate::support::zip::deflate(b"content");
        data.extend_from_slice(b"slack");
        let bad = file("lib/bad.so", "content").deflated().raw_data(data);
        refuses(&around(bad), "lib/bad.so");
    }

    #[test]
    fn of_several_bad_entries_the_first_is_named_whatever_the_threads() {
        let sandbox = sandbox();
        let entries = (10..60).map(|number| {
            let entry = file(format!("f{number}"), vec![b'x'; 1000]).deflated();
            if number >= 30 {
                entry.in_both(Field::Crc, 1)
            } else {
                entry
            }
        });
        sandbox.archive("deps.zip", &archive(entries));
        for threads in ["1", "2", "64"] {
            sandbox
                .slashopt([
                    "extract",
                    "base.zip",
                    "deps.zip",
                    "top.zip",
                    "--into",
                    "opt",
                    "--threads",
                    threads,
                ])
                .status(3)
                .stderr_contains("`f30`");
            assert!(!sandbox.everything().has("opt"));
        }
    }

    #[test]
    fn names_that_leave_the_root() {
        for name in ["../up", "a/../../up", "a/..", "/slashopt-it-absolute", ".."] {
            refuses(&around(file(name, "evil")), name);
        }
    }

    #[test]
    fn names_with_bytes_that_no_name_has() {
        refuses(&around(file(b"nul\0byte", "")), "nul");
        refuses(&around(file(b"new\nline", "")), "new");
        refuses(&around(file(b"esc\x1b[31m", "")), "esc").stderr_lacks("\u{1b}");
        refuses(&around(file("n".repeat(256), "")), "nnnn");
        refuses(&around(file(vec!["d"; 129].join("/"), "")), "d/d/d");
    }

    #[test]
    fn a_special_file() {
        refuses(&around(file("pipe", "").kind(S_IFIFO)), "pipe");
    }

    #[test]
    fn a_link_without_a_target() {
        refuses(&around(link("bad-link", "")), "bad-link");
        refuses(&around(link("bad-link", b"a\0b")), "bad-link");
        refuses(&around(link("bad-link", "t".repeat(4096))), "bad-link");
    }

    #[test]
    fn an_entry_below_a_link_or_a_file_of_the_same_archive() {
        for lenient in [&[][..], &["--lenient"]] {
            for above in [link("a", "b"), file("a", "")] {
                let sandbox = sandbox();
                sandbox.archive(
                    "deps.zip",
                    &archive([directory("b/"), above, file("a/below", "")]),
                );
                let arguments = [
                    "extract", "base.zip", "deps.zip", "top.zip", "--into", "opt",
                ];
                sandbox
                    .slashopt(arguments.iter().chain(lenient))
                    .status(3)
                    .stderr_contains("layer 2 of 3 (`deps.zip`)")
                    .has_hint();
                assert!(!sandbox.everything().has("opt"));
            }
        }
    }

    #[test]
    fn an_encrypted_entry() {
        refuses(&around(file("secret", "x").flag(ENCRYPTED)), "secret");
    }

    #[test]
    fn an_unsupported_method_by_its_name() {
        let bad = file("new", "x").in_both(Field::Method, 93);
        refuses(&around(bad), "new").stderr_contains("compression method 93 (zstd)");
    }

    #[test]
    fn entries_that_share_their_data() {
        let good = file("a", "shared bytes");
        let bad = file("lib/bad.so", "shared bytes")
            .local_name("a")
            .only_central();
        refuses(
            &archive([good, bad.in_central(Field::Offset, 0)]),
            "lib/bad.so",
        );
    }
}

mod leniency {
    use super::*;

    /// What is ambiguous is refused with a hint at `--lenient`, which accepts and reports it.
    #[track_caller]
    fn only_lenient_accepts(deps: &Archive) {
        let sandbox = sandbox();
        sandbox.archive("deps.zip", deps);
        fails(&sandbox, 3).stderr_contains("--lenient");
        sandbox
            .slashopt([
                "extract",
                "base.zip",
                "deps.zip",
                "top.zip",
                "--into",
                "opt",
                "--lenient",
            ])
            .success()
            .stderr_contains("warning: ");
        assert_eq!(sandbox.tree("opt").paths(), ["a", "b", "base", "top"]);
        assert_eq!(sandbox.tree("opt").text("b"), "good");
    }

    fn good() -> [Entry; 2] {
        [file("a", "good"), file("b", "good").deflated()]
    }

    #[test]
    fn bytes_before_the_first_entry() {
        only_lenient_accepts(&archive(good()).prefix("#!/bin/sh\n"));
        only_lenient_accepts(&archive(good()).counted_prefix("#!/bin/sh\n"));
    }

    #[test]
    fn bytes_between_and_behind_the_entries() {
        let [a, b] = good();
        only_lenient_accepts(&archive([a.gap_after("gap"), b]));
        only_lenient_accepts(&archive(good()).gap_before_directory("gap"));
        only_lenient_accepts(&archive(good()).suffix("trailing"));
    }

    #[test]
    fn a_local_header_that_disagrees() {
        let [a, b] = good();
        only_lenient_accepts(&archive([a.clone().local_name("x"), b.clone()]));
        only_lenient_accepts(&archive([a.clone().in_local(Field::Size, 9), b.clone()]));
        only_lenient_accepts(&archive([a.in_local(Field::Flags, 1 << 11), b]));
    }
}

mod the_destination {
    use super::*;

    #[test]
    fn a_directory_that_is_not_empty() {
        let sandbox = sandbox();
        sandbox.mkdir("opt", 0o755);
        sandbox.write("opt/precious", "kept");
        let before = sandbox.everything();
        sandbox
            .slashopt(["extract", "base.zip", "--into", "opt"])
            .status(4)
            .stderr_contains("opt")
            .has_hint();
        sandbox.everything().assert_is(&before);
    }

    #[test]
    fn a_parent_that_cannot_be_written() {
        let sandbox = sandbox();
        if skip_unless_root(&sandbox) {
            return;
        }
        let before = sandbox.everything();
        sandbox
            .command(["extract", "base.zip", "--into", "opt"])
            .by_nobody()
            .run()
            .status(4)
            .stderr_contains("opt")
            .has_hint();
        sandbox.everything().assert_is(&before);
    }

    #[test]
    fn an_empty_directory_that_belongs_to_somebody_else() {
        let sandbox = sandbox();
        if skip_unless_root(&sandbox) {
            return;
        }
        sandbox.mkdir("opt", 0o755);
        let before = sandbox.everything();
        sandbox
            .command(["extract", "base.zip", "--into", "opt"])
            .by_nobody()
            .run()
            .status(4)
            .has_hint();
        sandbox.everything().assert_is(&before);
    }

    #[test]
    fn a_bad_layer_leaves_an_empty_destination_empty() {
        let sandbox = sandbox();
        sandbox.mkdir("opt", 0o700);
        let bad = file("bad", "content").in_both(Field::Crc, 1);
        sandbox.archive("deps.zip", &around(bad));
        fails(&sandbox, 3);
    }
}
