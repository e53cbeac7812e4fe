//! What is in the root after `extract`: which object wins, and with which content, mode, time and target.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use crate::support::command::{Sandbox, is_root, skip_unless_root};
use crate::support::machine::tool;
use crate::support::tree::{DOS_EPOCH, Tree};
use crate::support::zip::{
    Archive, Entry, FAT, MACOS, NTFS, S_IFREG, USUAL_SECONDS, archive, directory, dos, extra, file,
    link,
};

/// Extracts these layers, lowest first, into a new root.
#[track_caller]
fn merged(layers: impl IntoIterator<Item = Archive>) -> Tree {
    merged_with(layers, &[])
}

#[track_caller]
fn merged_with(layers: impl IntoIterator<Item = Archive>, flags: &[&str]) -> Tree {
    let sandbox = Sandbox::new();
    let mut arguments = vec!["extract".to_owned()];
    for (number, layer) in layers.into_iter().enumerate() {
        let name = format!("{}.zip", number + 1);
        sandbox.archive(&name, &layer);
        arguments.push(name);
    }
    arguments.extend(["--into", "opt"].map(String::from));
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    sandbox.slashopt(arguments).success();
    sandbox.tree("opt")
}

/// Extracts one layer of these entries.
#[track_caller]
fn extracted(entries: impl IntoIterator<Item = Entry>) -> Tree {
    merged([archive(entries)])
}

mod order {
    use super::*;

    #[test]
    fn the_last_layer_wins() {
        let tree = merged([
            archive([file("a", "first"), file("only-first", "")]),
            archive([file("a", "second"), file("only-second", "")]),
            archive([file("a", "third")]),
        ]);
        assert_eq!(tree.paths(), ["a", "only-first", "only-second"]);
        assert_eq!(tree.text("a"), "third");
    }

    #[test]
    fn a_later_object_replaces_content_mode_time_and_target_at_once() {
        let tree = merged([
            archive([
                file("f", "long content").mode(0o755).extended(100),
                link("l", "f").extended(100),
            ]),
            archive([
                file("f", "x").mode(0o640).extended(50),
                link("l", "g").extended(50),
            ]),
        ]);
        assert_eq!(tree.text("f"), "x");
        assert_eq!(tree.mode("f"), "0640");
        assert_eq!(tree.mtime("f"), 50);
        assert_eq!(tree.target("l"), "g");
        assert_eq!(tree.mtime("l"), 50);
    }

    #[test]
    fn the_order_of_entries_in_an_archive_does_not_matter() {
        let entries = [
            directory("d/").mode(0o775).extended(5),
            directory("d/e/").mode(0o555).extended(6),
            file("d/e/f", "deep").extended(7),
            link("d/l", "e/f"),
        ];
        let forwards = extracted(entries.clone());
        let backwards = extracted(entries.into_iter().rev());
        backwards.assert_is(&forwards);
    }

    #[test]
    fn without_layers_that_hold_anything_the_root_is_empty() {
        let tree = merged([archive([]), archive([directory("./")])]);
        assert!(tree.paths().is_empty());
        assert_eq!(tree.mode(""), "0755");
        assert_eq!(tree.mtime(""), DOS_EPOCH);
    }

    #[test]
    fn variables_name_the_layers_where_the_command_line_names_none() {
        let sandbox = Sandbox::new();
        sandbox.archive("1.zip", &archive([file("a", "first")]));
        sandbox.archive("2.zip", &archive([file("a", "second")]));
        for (into, separator) in [("lines", "\n"), ("commas", ",")] {
            sandbox
                .command(["extract", "--into", into])
                .env("SLASHOPT_LAYERS", format!("1.zip{separator}2.zip"))
                .run()
                .success();
            assert_eq!(sandbox.tree(into).text("a"), "second");
        }
    }
}

mod modes {
    use super::*;

    #[test]
    fn modes_are_exact_whatever_the_umask() {
        for umask in [0o000, 0o022, 0o077, 0o777] {
            let sandbox = Sandbox::new();
            sandbox.archive(
                "a.zip",
                &archive([
                    file("0644", ""),
                    file("0755", "").mode(0o755),
                    file("0666", "").mode(0o666),
                    file("0777", "").mode(0o777),
                    file("0600", "").mode(0o600),
                    file("0000", "unreadable").mode(0),
                    directory("d0777/").mode(0o777),
                    directory("d0555/").mode(0o555),
                    file("d0555/inside", "").mode(0o444),
                    file("implied/f", ""),
                ]),
            );
            sandbox
                .command(["extract", "a.zip", "--into", "opt"])
                .umask(umask)
                .run()
                .success();
            let tree = sandbox.tree("opt");
            for name in ["0644", "0755", "0666", "0777", "0600", "0000"] {
                assert_eq!(tree.mode(name), name, "under umask {umask:04o}");
            }
            assert_eq!(tree.mode("d0777"), "0777", "under umask {umask:04o}");
            assert_eq!(tree.mode("d0555"), "0555", "under umask {umask:04o}");
            assert_eq!(tree.mode("d0555/inside"), "0444");
            assert_eq!(tree.mode("implied"), "0755", "under umask {umask:04o}");
            assert_eq!(tree.mode(""), "0755", "under umask {umask:04o}");
        }
    }

    #[test]
    fn set_id_and_sticky_bits_are_stripped_and_reported() {
        let sandbox = Sandbox::new();
        sandbox.archive(
            "a.zip",
            &archive([
                file("suid", "").mode(0o4755),
                file("sgid", "").mode(0o2750),
                directory("tmp/").mode(0o1777),
            ]),
        );
        let checked = sandbox
            .slashopt(["extract", "a.zip", "--into", "opt"])
            .success();
        assert!(
            checked.stderr().contains("warning: "),
            "{}",
            checked.stderr()
        );
        let tree = sandbox.tree("opt");
        assert_eq!(tree.mode("suid"), "0755");
        assert_eq!(tree.mode("sgid"), "0750");
        assert_eq!(tree.mode("tmp"), "0777");
    }

    #[test]
    fn an_entry_without_a_mode_is_0644_or_0755() {
        for host in [FAT, NTFS, MACOS, 3] {
            let tree = extracted([
                file("f", "").without_mode().host(host),
                directory("d/").without_mode().host(host),
            ]);
            assert_eq!(tree.mode("f"), "0644", "host {host}");
            assert_eq!(tree.mode("d"), "0755", "host {host}");
        }
    }

    #[test]
    fn a_mode_counts_whatever_system_wrote_it() {
        let tree = extracted([
            file("windows", "").mode(0o755).host(NTFS),
            file("dos", "").mode(0o750).host(FAT),
            file("mac", "").mode(0o700).host(MACOS),
            file("typeless", "").mode(0o711).kind(0),
        ]);
        assert_eq!(tree.mode("windows"), "0755");
        assert_eq!(tree.mode("dos"), "0750");
        assert_eq!(tree.mode("mac"), "0700");
        assert_eq!(tree.mode("typeless"), "0711");
    }

    #[test]
    fn a_directory_that_somebody_cannot_enter_becomes_0755_as_in_lambda() {
        let tree = extracted([
            directory("closed/").mode(0o700),
            directory("none/").mode(0),
            directory("no-listing/").mode(0o711),
            directory("read-only/").mode(0o555),
            directory("shared/").mode(0o775),
            file("secret", "").mode(0o400),
        ]);
        assert_eq!(tree.mode("closed"), "0755");
        assert_eq!(tree.mode("none"), "0755");
        assert_eq!(tree.mode("no-listing"), "0755");
        assert_eq!(tree.mode("read-only"), "0555");
        assert_eq!(tree.mode("shared"), "0775");
        assert_eq!(
            tree.mode("secret"),
            "0400",
            "a file's mode is never touched"
        );
    }

    #[test]
    fn a_parent_with_set_group_id_does_not_pass_it_on() {
        let sandbox = Sandbox::new();
        sandbox.mkdir("parent", 0o2775);
        sandbox.archive("a.zip", &archive([file("d/f", "")]));
        sandbox
            .slashopt(["extract", "a.zip", "--into", "parent/opt"])
            .success();
        let tree = sandbox.tree("parent/opt");
        assert_eq!(tree.mode(""), "0755");
        assert_eq!(tree.mode("d"), "0755");
    }
}

mod links {
    use super::*;

    #[test]
    fn links_are_kept_verbatim_wherever_they_lead() {
        let targets = [
            "plain",
            "dir/../plain",
            "./plain",
            "missing",
            "../outside",
            "/opt/plain",
            "/var/task/code",
            "/tmp/x",
            "/",
            ".",
            "self",
            "dir/",
            "with space",
        ];
        let tree = extracted(
            targets
                .iter()
                .enumerate()
                .map(|(number, target)| link(format!("l{number}"), target))
                .chain([file("plain", "content"), directory("dir/")]),
        );
        for (number, target) in targets.iter().enumerate() {
            assert_eq!(tree.target(format!("l{number}")), *target);
        }
    }

    #[test]
    fn a_target_outside_gives_one_warning_for_the_run() {
        let sandbox = Sandbox::new();
        sandbox.archive(
            "a.zip",
            &archive([link("one", "/etc/passwd"), link("two", "../../up")]),
        );
        let checked = sandbox
            .slashopt(["extract", "a.zip", "--into", "opt"])
            .success();
        let warnings = checked.stderr().lines();
        assert_eq!(
            warnings.filter(|line| line.contains("link")).count(),
            1,
            "{}",
            checked.stderr()
        );
        sandbox.archive(
            "b.zip",
            &archive([
                link("in", "/opt/lib"),
                link("near", "lib"),
                file("lib/a", ""),
            ]),
        );
        sandbox
            .slashopt(["extract", "b.zip", "--into", "inside"])
            .success()
            .stderr_lacks("link");
    }

    #[test]
    fn a_link_may_be_deflated_and_its_time_is_kept() {
        let target = "a/".repeat(500);
        let tree = extracted([link("l", &target).deflated().extended(1_234_567_890)]);
        assert_eq!(tree.target("l"), target);
        assert_eq!(tree.mtime("l"), 1_234_567_890);
    }

    #[test]
    fn a_link_is_never_written_through() {
        let sandbox = Sandbox::new();
        sandbox.mkdir("victim", 0o755);
        sandbox.write("victim/file", "untouched");
        let victim = sandbox.path("victim");
        let outside = victim.to_str().expect("our paths are text");
        let before = sandbox.tree("victim").without_times();
        for policy in ["replace", "follow"] {
            sandbox.archive(
                "1.zip",
                &archive([link("d", outside), link("f", format!("{outside}/file"))]),
            );
            sandbox.archive(
                "2.zip",
                &archive([file("d/file", "evil"), file("f", "evil")]),
            );
            let into = format!("opt-{policy}");
            sandbox
                .slashopt([
                    "extract",
                    "1.zip",
                    "2.zip",
                    "--into",
                    &into,
                    "--on-type-conflict",
                    policy,
                ])
                .success();
            let tree = sandbox.tree(&into);
            assert_eq!(tree.kind("d"), "directory");
            assert_eq!(tree.text("f"), "evil");
            sandbox.tree("victim").without_times().assert_is(&before);
        }
    }

    #[test]
    fn only_archives_from_unix_and_macos_hold_links() {
        let tree = extracted([link("mac", "target").host(MACOS), link("unix", "target")]);
        assert_eq!(tree.target("mac"), "target");
        assert_eq!(tree.target("unix"), "target");
    }
}

mod names {
    use super::*;

    #[test]
    fn odd_names_are_kept_as_their_bytes() {
        let names: [&[u8]; 9] = [
            b"back\\slash",
            b"latin \xe9",
            b"\xff\xfe",
            "\u{e9}".as_bytes(),
            "e\u{301}".as_bytes(),
            b" leading and trailing ",
            b"...",
            b"-rf",
            b"quote'\"`$",
        ];
        let tree = extracted(names.iter().map(|name| file(name, name)));
        for name in names {
            assert_eq!(tree.kind(name), "file");
        }
        assert_eq!(tree.count("file"), 9);
    }

    #[test]
    fn empty_and_dot_components_are_dropped() {
        let tree = extracted([file("./a//b/./c", "x"), directory(".//d//./")]);
        assert_eq!(tree.paths(), ["a", "a/b", "a/b/c", "d"]);
    }

    #[test]
    fn names_as_long_as_linux_allows_are_kept() {
        let component = "n".repeat(255);
        let deep = vec!["d"; 127].join("/");
        let tree = extracted([file(&component, "wide"), file(format!("{deep}/f"), "deep")]);
        assert_eq!(tree.text(&component), "wide");
        assert_eq!(tree.text(format!("{deep}/f")), "deep");
    }

    #[test]
    fn a_name_twice_in_one_archive_is_accepted_if_both_are_the_same() {
        let tree = extracted([
            file("f", "x").extended(1),
            file("./f", "x").extended(2),
            directory("d/"),
            directory("d//"),
        ]);
        assert_eq!(tree.paths(), ["d", "f"]);
        assert_eq!(tree.mtime("f"), 2, "the last one wins");
    }

    #[test]
    fn a_name_twice_with_other_content_is_refused_unless_lenient() {
        let sandbox = Sandbox::new();
        sandbox.archive("a.zip", &archive([file("f", "one"), file("f", "two")]));
        sandbox
            .slashopt(["extract", "a.zip", "--into", "opt"])
            .status(3)
            .stderr_contains("layer 1 of 1 (`a.zip`)")
            .has_hint()
            .stderr_contains("--lenient");
        sandbox
            .slashopt(["extract", "a.zip", "--into", "opt", "--lenient"])
            .success()
            .stderr_contains("warning: ");
        assert_eq!(sandbox.tree("opt").text("f"), "two");
    }
}

mod times {
    use super::*;

    #[test]
    fn an_extended_timestamp_beats_the_dos_time() {
        let tree = extracted([
            file("f", "").extended(1_000_000_001),
            directory("d/").extended(1_000_000_003),
            link("l", "f").extended(1_000_000_005),
            file("dos", ""),
        ]);
        assert_eq!(tree.mtime("f"), 1_000_000_001);
        assert_eq!(tree.mtime("d"), 1_000_000_003);
        assert_eq!(tree.mtime("l"), 1_000_000_005);
        assert_eq!(tree.mtime("dos"), USUAL_SECONDS);
    }

    #[test]
    fn a_timestamp_without_a_modification_time_leaves_the_dos_time() {
        let only_access = extra(0x5455, &[2, 1, 0, 0, 0]);
        let tree = extracted([file("f", "")
            .local_extra(&only_access)
            .central_extra(extra(0x5455, &[2]))]);
        assert_eq!(tree.mtime("f"), USUAL_SECONDS);
    }

    #[test]
    fn an_extended_timestamp_beyond_2038_is_not_one_before_1970() {
        let beyond = 2_208_988_801_u32.cast_signed();
        let tree = extracted([
            file("beyond", "")
                .extended(beyond)
                .dos(dos(2040, 1, 1, 0, 0, 0)),
            file("before", "")
                .extended(-5)
                .dos(dos(1980, 1, 1, 0, 0, 0)),
        ]);
        assert_eq!(tree.mtime("beyond"), 2_208_988_801);
        assert_eq!(tree.mtime("before"), -5);
    }

    #[test]
    fn a_dos_time_is_utc_wherever_we_are() {
        for zone in ["UTC", "Asia/Kathmandu", "XYZ+11", "America/New_York"] {
            let sandbox = Sandbox::new();
            sandbox.archive(
                "a.zip",
                &archive([
                    file("winter", ""),
                    file("leap", "").dos(dos(2000, 2, 29, 23, 59, 58)),
                    file("late", "").dos(dos(2107, 12, 31, 0, 0, 0)),
                ]),
            );
            sandbox
                .command(["extract", "a.zip", "--into", "opt"])
                .env("TZ", zone)
                .run()
                .success();
            let tree = sandbox.tree("opt");
            assert_eq!(tree.mtime("winter"), USUAL_SECONDS, "in {zone}");
            assert_eq!(tree.mtime("leap"), 951_868_798, "in {zone}");
            assert_eq!(tree.mtime("late"), 4_354_732_800, "in {zone}");
        }
    }

    #[test]
    fn an_impossible_dos_time_is_1980() {
        let impossible = [
            (0, 0),
            (u16::MAX, u16::MAX),
            dos(2023, 2, 29, 12, 0, 0),
            dos(2024, 13, 1, 12, 0, 0),
            dos(2024, 4, 31, 12, 0, 0),
            dos(2024, 5, 1, 24, 0, 0),
            dos(2024, 5, 1, 12, 60, 0),
            dos(2024, 5, 1, 12, 0, 60),
        ];
        let tree = extracted(
            impossible
                .iter()
                .enumerate()
                .map(|(number, time)| file(format!("f{number}"), "").dos(*time)),
        );
        for (number, time) in impossible.iter().enumerate() {
            assert_eq!(tree.mtime(format!("f{number}")), DOS_EPOCH, "{time:?}");
        }
    }

    #[test]
    fn directories_keep_their_times_whatever_is_put_into_them() {
        let tree = merged([
            archive([
                directory("d/").extended(10),
                directory("d/e/").extended(20),
                file("d/e/f", ""),
            ]),
            archive([file("d/g", ""), link("d/e/l", "f")]),
        ]);
        assert_eq!(tree.mtime("d"), 10);
        assert_eq!(tree.mtime("d/e"), 20);
    }
}

mod directories {
    use super::*;

    #[test]
    fn empty_directories_are_made() {
        let tree = extracted([directory("empty/"), directory("a/b/c/")]);
        assert_eq!(tree.paths(), ["a", "a/b", "a/b/c", "empty"]);
    }

    #[test]
    fn an_implied_directory_is_0755_and_of_1980() {
        let tree = extracted([file("a/b/f", "")]);
        for path in ["", "a", "a/b"] {
            assert_eq!(tree.mode(path), "0755");
            assert_eq!(tree.mtime(path), DOS_EPOCH);
        }
    }

    #[test]
    fn a_later_explicit_entry_decides_and_an_implied_one_changes_nothing() {
        let tree = merged([
            archive([
                directory("explicit/").mode(0o775).extended(1),
                file("implied/f", ""),
            ]),
            archive([
                file("explicit/g", ""),
                directory("implied/").mode(0o777).extended(2),
            ]),
            archive([file("implied/h", "")]),
        ]);
        assert_eq!(tree.mode("explicit"), "0775");
        assert_eq!(tree.mtime("explicit"), 1);
        assert_eq!(tree.mode("implied"), "0777");
        assert_eq!(tree.mtime("implied"), 2);
        assert_eq!(
            tree.paths(),
            [
                "explicit",
                "explicit/g",
                "implied",
                "implied/f",
                "implied/h"
            ]
        );
    }

    #[test]
    fn an_entry_for_the_root_is_ignored() {
        let tree = extracted([directory("./").mode(0o777).extended(1), file("f", "")]);
        assert_eq!(tree.mode(""), "0755");
        assert_eq!(tree.mtime(""), DOS_EPOCH);
    }

    #[test]
    fn directory_bits_without_a_slash_are_refused_unless_lenient() {
        let sandbox = Sandbox::new();
        sandbox.archive("a.zip", &archive([directory("d"), file("d/f", "")]));
        sandbox
            .slashopt(["extract", "a.zip", "--into", "opt"])
            .status(3)
            .stderr_contains("--lenient");
        sandbox
            .slashopt(["extract", "a.zip", "--into", "opt", "--lenient"])
            .success();
        assert_eq!(sandbox.tree("opt").paths(), ["d", "d/f"]);
    }
}

/// Two layers that disagree about kinds in every way: what tools do today differs on each line of this.
mod conflicts_of_kinds {
    use super::*;

    fn lower() -> Archive {
        archive([
            file("bin/tool-1.0", "1.0").mode(0o755),
            link("bin/tool", "tool-1.0"),
            link("lib64", "lib"),
            file("lib/libz.so.1.2", "zlib"),
            link("lib/libz.so.1", "libz.so.1.2"),
            file("secret", "s").mode(0o400),
            file("conf", "a file"),
            directory("data/").mode(0o700),
            file("data/row", "1"),
            link("abs", "/opt/bin/tool-1.0"),
            file("extensions/ext", "no x"),
        ])
    }

    fn upper() -> Archive {
        archive([
            file("bin/tool", "2.0").mode(0o755),
            file("lib64/libq.so", "q"),
            file("conf/a", "below conf"),
            file("data", "a file"),
        ])
    }

    fn unchanged(tree: &Tree) {
        assert_eq!(
            tree.kind("bin/tool"),
            "file",
            "a file over a link replaces it"
        );
        assert_eq!(tree.text("bin/tool"), "2.0");
        assert_eq!(
            tree.text("bin/tool-1.0"),
            "1.0",
            "and does not write through it"
        );
        assert_eq!(
            tree.text("conf/a"),
            "below conf",
            "a directory over a file replaces it"
        );
        assert_eq!(
            tree.text("data"),
            "a file",
            "a file over a directory replaces it"
        );
        assert!(!tree.has("data/row"), "with everything below");
        assert_eq!(tree.mode("secret"), "0400");
        assert_eq!(tree.mode("extensions/ext"), "0644");
        assert_eq!(tree.target("abs"), "/opt/bin/tool-1.0");
        assert_eq!(tree.target("lib/libz.so.1"), "libz.so.1.2");
    }

    #[test]
    fn replace_gives_the_place_to_the_later_object() {
        for flags in [&["--on-type-conflict", "replace"][..], &[]] {
            let tree = merged_with([lower(), upper()], flags);
            unchanged(&tree);
            assert_eq!(tree.kind("lib64"), "directory");
            assert_eq!(tree.text("lib64/libq.so"), "q");
            assert!(!tree.has("lib64/libz.so.1"));
            assert!(
                !tree.has("lib/libq.so"),
                "nothing is written through a link"
            );
        }
    }

    #[test]
    fn follow_merges_into_the_directory_behind_a_link() {
        let tree = merged_with([lower(), upper()], &["--on-type-conflict", "follow"]);
        unchanged(&tree);
        assert_eq!(tree.target("lib64"), "lib");
        assert_eq!(tree.text("lib/libq.so"), "q");
        assert_eq!(tree.text("lib/libz.so.1.2"), "zlib");
    }

    #[test]
    fn error_refuses_to_build_and_names_a_path() {
        let sandbox = Sandbox::new();
        sandbox.archive("lower.zip", &lower());
        sandbox.archive("upper.zip", &upper());
        let before = sandbox.everything();
        sandbox
            .slashopt([
                "extract",
                "lower.zip",
                "upper.zip",
                "--into",
                "opt",
                "--on-type-conflict",
                "error",
            ])
            .status(1)
            .stderr_contains("bin/tool");
        sandbox.everything().assert_is(&before);
    }

    #[test]
    fn error_has_nothing_against_files_over_files() {
        let tree = merged_with(
            [
                archive([file("d/f", "1")]),
                archive([file("d/f", "2"), directory("d/")]),
            ],
            &["--on-type-conflict", "error"],
        );
        assert_eq!(tree.text("d/f"), "2");
    }

    #[test]
    fn a_file_between_two_directories_hides_the_lower_one_for_good() {
        let tree = merged([
            archive([directory("d/").mode(0o777), file("d/low", "")]),
            archive([file("d", "")]),
            archive([file("d/high", "")]),
        ]);
        assert_eq!(tree.paths(), ["d", "d/high"]);
        assert_eq!(tree.mode("d"), "0755");
    }

    #[test]
    fn follow_keeps_to_the_root() {
        for (target, is_followed) in [
            ("real", true),
            ("/opt/real", true),
            ("hop", true),
            ("nest/../real", true),
            ("loop", false),
            ("missing", false),
            ("file", false),
            ("../opt/real", false),
            ("/tmp", false),
        ] {
            let tree = merged_with(
                [
                    archive([
                        link("l", target),
                        link("hop", "./real/"),
                        link("loop", "pool"),
                        link("pool", "loop"),
                        directory("real/"),
                        directory("nest/"),
                        file("file", ""),
                    ]),
                    archive([file("l/x", "")]),
                ],
                &["--on-type-conflict", "follow"],
            );
            assert_eq!(tree.has("real/x"), is_followed, "{target}");
            assert_eq!(tree.has("l/x"), !is_followed, "{target}");
        }
    }
}

mod kinds_of_layers {
    use super::*;

    #[test]
    fn stored_and_deflated_described_and_zip64_read_the_same() {
        use crate::support::zip::Descriptor;
        let text = "some text ".repeat(1000);
        let tree = merged([archive([
            file("stored", &text),
            file("deflated", &text).deflated(),
            file("signed", &text)
                .deflated()
                .descriptor(Descriptor::Signed),
            file("unsigned", &text).descriptor(Descriptor::Unsigned),
            file("zip64", &text).deflated().zip64(),
            file("empty", "").deflated(),
        ])
        .zip64()
        .comment("a comment")]);
        for name in ["stored", "deflated", "signed", "unsigned", "zip64"] {
            assert_eq!(tree.text(name), text, "{name}");
        }
        assert_eq!(tree.text("empty"), "");
    }

    #[test]
    fn zeros_behind_the_end_are_padding() {
        let tree = merged([archive([file("f", "padded")]).suffix([0; 9000])]);
        assert_eq!(tree.text("f"), "padded");
    }

    #[test]
    fn a_large_entry_is_written_whole() {
        let large: Vec<u8> = (0..5_000_000_u32).map(|n| (n / 7 % 251) as u8).collect();
        let sandbox = Sandbox::new();
        sandbox.archive(
            "a.zip",
            &archive([file("deflated", &large).deflated(), file("stored", &large)]),
        );
        sandbox
            .slashopt(["extract", "a.zip", "--into", "opt"])
            .success();
        for name in ["deflated", "stored"] {
            let bytes = fs::read(sandbox.path("opt").join(name)).expect("the file is there");
            assert!(bytes == large, "{name} differs");
        }
    }

    #[test]
    fn a_layer_can_come_on_standard_input() {
        let sandbox = Sandbox::new();
        sandbox.archive("low.zip", &archive([file("a", "low"), file("b", "low")]));
        let piped = archive([file("a", "piped")]).bytes();
        sandbox
            .command(["extract", "low.zip", "-", "--into", "opt"])
            .stdin(piped)
            .run()
            .success();
        assert_eq!(sandbox.tree("opt").text("a"), "piped");
        assert_eq!(sandbox.tree("opt").text("b"), "low");
    }

    #[test]
    fn standard_input_can_be_named_only_once() {
        let sandbox = Sandbox::new();
        sandbox
            .command(["extract", "-", "-", "--into", "opt"])
            .stdin(archive([]).bytes())
            .run()
            .status(2);
        assert!(!sandbox.everything().has("opt"));
    }

    /// A directory with everything that an archive can hold, and what only a directory can.
    fn directory_layer(sandbox: &Sandbox) {
        for (name, mode) in [
            ("layer", 0o700),
            ("layer/shared", 0o775),
            ("layer/closed", 0o700),
        ] {
            sandbox.mkdir(name, mode);
        }
        let path = sandbox.write("layer/shared/tool", "#!/bin/sh\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
        fs::hard_link(&path, sandbox.path("layer/again")).unwrap();
        std::os::unix::fs::symlink("/opt/shared/tool", sandbox.path("layer/link")).unwrap();
        let directory = fs::File::open(sandbox.path("layer/shared")).unwrap();
        directory.set_modified(time).unwrap();
    }

    #[test]
    fn a_directory_is_a_layer() {
        let sandbox = Sandbox::new();
        directory_layer(&sandbox);
        sandbox.archive(
            "low.zip",
            &archive([file("again", "low"), file("kept", "")]),
        );
        sandbox
            .slashopt(["extract", "low.zip", "./layer", "--into", "opt"])
            .success();
        let tree = sandbox.tree("opt");
        assert_eq!(
            tree.paths(),
            ["again", "closed", "kept", "link", "shared", "shared/tool"]
        );
        assert_eq!(tree.text("again"), "#!/bin/sh\\n");
        assert_eq!(tree.mode("shared/tool"), "0755");
        assert_eq!(tree.mtime("shared/tool"), 1_000_000_000);
        assert_eq!(tree.mode("shared"), "0775");
        assert_eq!(tree.mtime("shared"), 1_000_000_000);
        assert_eq!(tree.mode("closed"), "0755");
        assert_eq!(tree.target("link"), "/opt/shared/tool");
        assert_eq!(
            tree.mode(""),
            "0755",
            "the layer's own top directory does not count"
        );
        let mut copy = fs::File::options();
        let copy = copy.append(true).open(sandbox.path("opt/again")).unwrap();
        copy.set_len(0).unwrap();
        assert_eq!(
            sandbox.tree("opt").text("shared/tool"),
            "#!/bin/sh\\n",
            "hard links of the layer are ordinary files in the root"
        );
    }

    #[test]
    fn a_directory_layer_can_hold_names_that_are_not_text() {
        use std::os::unix::ffi::OsStrExt as _;
        let sandbox = Sandbox::new();
        sandbox.mkdir("layer", 0o755);
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9\\x");
        sandbox.write(std::path::Path::new("layer").join(name), "x");
        sandbox
            .slashopt(["extract", "layer", "--into", "opt"])
            .success();
        assert_eq!(sandbox.tree("opt").text(b"caf\xe9\\x"), "x");
    }

    #[test]
    fn a_special_file_in_a_directory_layer_is_refused() {
        let sandbox = Sandbox::new();
        sandbox.mkdir("layer", 0o755);
        sandbox.mkdir("layer/d", 0o755);
        let made = tool("mkfifo").arg(sandbox.path("layer/d/pipe")).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no `mkfifo`");
            return;
        }
        sandbox
            .slashopt(["extract", "layer", "--into", "opt"])
            .status(3)
            .stderr_contains("layer 1 of 1 (`layer`)")
            .stderr_contains("d/pipe");
        assert!(!sandbox.everything().has("opt"));
    }

    #[test]
    fn what_the_layer_is_owned_by_does_not_matter() {
        let sandbox = Sandbox::new();
        if skip_unless_root(&sandbox) {
            return;
        }
        sandbox.mkdir("layer", 0o755);
        sandbox.write("layer/f", "");
        sandbox.give_to_nobody("layer/f");
        sandbox
            .slashopt(["extract", "layer", "--into", "opt"])
            .success();
        let metadata = fs::metadata(sandbox.path("opt/f")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&metadata), 0);
    }

    #[test]
    fn anybody_can_extract() {
        let sandbox = Sandbox::new();
        if skip_unless_root(&sandbox) {
            return;
        }
        sandbox.mkdir("own", 0o755);
        sandbox.give_to_nobody("own");
        sandbox.archive(
            "a.zip",
            &archive([
                directory("d/").mode(0o555),
                file("d/f", "x").mode(0),
                link("l", "d"),
                file("g", "").kind(S_IFREG).mode(0o777),
            ]),
        );
        sandbox
            .command(["extract", "a.zip", "--into", "own/opt"])
            .by_nobody()
            .umask(0o077)
            .run()
            .success();
        assert!(is_root());
        let tree = sandbox.tree("own/opt");
        assert_eq!(tree.mode("d"), "0555");
        assert_eq!(tree.mode("d/f"), "0000");
        assert_eq!(tree.text("d/f"), "x");
        assert_eq!(tree.mode("g"), "0777");
        assert_eq!(
            sandbox.tree("own").paths(),
            ["opt", "opt/d", "opt/d/f", "opt/g", "opt/l"]
        );
    }
}
