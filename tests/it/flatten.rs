//! Several layers as one archive: it extracts to what they extract to, it is the same whatever the machine does, and it appears
//! whole or not at all.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::properties::{Layer, config, stack};
use crate::support::command::{Finished, Sandbox, Tmpfs, skip_unless_root, skip_without};
use crate::support::machine::tool;
use crate::support::project::program;
use crate::support::readers::everybody_reads;
use crate::support::strace::{injected, skip_without_strace};
use crate::support::tree::Tree;
use crate::support::zip::{archive, crc32, directory, file, link};

/// Flattens archives named `1.zip` and on into `flat.zip`.
fn flatten(sandbox: &Sandbox, count: usize, flags: &[&str]) -> Finished {
    let layers = (1..=count).map(|number| format!("{number}.zip"));
    let rest = ["--output", "flat.zip", "--quota", "off", "--quiet"];
    let rest = rest.iter().chain(flags).map(|word| (*word).to_owned());
    sandbox.slashopt(["flatten".to_owned()].into_iter().chain(layers).chain(rest))
}

/// What the layers extract to, and what their flattened archive does.
fn both_ways(stack: &[Layer], flags: &[&str]) -> Result<(Tree, Tree), TestCaseError> {
    let sandbox = Sandbox::new();
    let mut extract = vec!["extract".to_owned()];
    for (number, layer) in (1..).zip(stack) {
        let name = format!("{number}.zip");
        sandbox.archive(&name, &layer.archive());
        extract.push(name);
    }
    extract.extend(["--into", "direct", "--quota", "off"].map(String::from));
    extract.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let finished = sandbox.slashopt(extract);
    prop_assert!(finished.code() == Some(0), "{finished}");
    let mut archives = Vec::new();
    for threads in ["1", "64"] {
        let flags: Vec<&str> = flags
            .iter()
            .copied()
            .chain(["--threads", threads])
            .collect();
        let finished = flatten(&sandbox, stack.len(), &flags);
        prop_assert!(finished.code() == Some(0), "{finished}");
        archives.push(fs::read(sandbox.path("flat.zip")).expect("it was written"));
    }
    prop_assert!(archives[0] == archives[1], "the number of threads matters");
    let finished = sandbox.slashopt(["extract", "flat.zip", "--into", "flattened", "--quiet"]);
    prop_assert!(finished.code() == Some(0), "{finished}");
    Ok((sandbox.tree("direct"), sandbox.tree("flattened")))
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn what_is_flattened_extracts_to_what_the_layers_extract_to(stack in stack()) {
        let (direct, flattened) = both_ways(&stack, &[])?;
        let difference = flattened.difference(&direct);
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }

    #[test]
    fn so_it_does_where_links_are_followed(stack in stack()) {
        let (direct, flattened) = both_ways(&stack, &["--on-type-conflict", "follow"])?;
        let difference = flattened.difference(&direct);
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }
}

/// A stack with everything in it that readers could disagree about.
fn sandbox_with_two_layers() -> Sandbox {
    let sandbox = Sandbox::new();
    let first = archive([
        directory("bin/").mode(0o755).extended(1_000_000_001),
        file("bin/tool", "old").mode(0o755),
        file("bin/kept", vec![b'k'; 70_000])
            .deflated()
            .mode(0o700)
            .extended(1_000_000_003),
        file("only-first", "first"),
        file("replaced/by/link", "gone"),
    ]);
    let second = archive([
        file("bin/tool", "new").mode(0o755).extended(1_234_567_891),
        file("empty", ""),
        file("caf\u{e9}/implied", "caf\u{e9}").mode(0o600),
        directory("void/").mode(0o775),
        link("link", "bin/tool"),
        link("replaced", "bin"),
    ]);
    sandbox.archive("1.zip", &first);
    sandbox.archive("2.zip", &second);
    sandbox
}

#[test]
fn everybody_reads_what_is_flattened() {
    let sandbox = sandbox_with_two_layers();
    flatten(&sandbox, 2, &[]).success();
    sandbox
        .slashopt(["extract", "1.zip", "2.zip", "--into", "opt", "--quiet"])
        .success();
    everybody_reads(&sandbox, "flat.zip", &sandbox.tree("opt"));
}

#[test]
fn the_report_says_what_each_layer_lost_and_what_the_quotas_say_now() {
    let sandbox = sandbox_with_two_layers();
    let done = sandbox
        .slashopt([
            "flatten", "1.zip", "2.zip", "--output", "flat.zip", "--format", "json",
        ])
        .success();
    let json = done.json();
    let bytes = fs::read(sandbox.path("flat.zip")).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["output"], "flat.zip");
    assert_eq!(json["code_size"], bytes.len());
    assert_eq!(json["files"], 5);
    assert_eq!(json["directories"], 3);
    assert_eq!(json["symlinks"], 2);
    assert_eq!(json["entries"], 10);
    assert_eq!(
        json["dropped"],
        json!([{ "layer": 1, "files": 2, "bytes": 7 }, { "layer": 2, "files": 0, "bytes": 0 }])
    );
    assert_eq!(json["collisions"]["content"], 1);
    assert_eq!(json["quota"]["exceeded"], json!([]));
    assert_eq!(json["layers"].as_array().map(Vec::len), Some(2));
    let sum = tool("sh")
        .args([
            "-c",
            "sha256sum flat.zip | cut -d' ' -f1 | xxd -r -p | base64",
        ])
        .current_dir(sandbox.work())
        .output()
        .unwrap();
    if !skip_without("xxd") {
        let sum = String::from_utf8(sum.stdout).unwrap();
        assert_eq!(json["code_sha256"], sum.trim());
    }
    sandbox
        .slashopt(["flatten", "1.zip", "2.zip", "--output", "flat.zip"])
        .success()
        .says("dropped: layer 1 of 2 (`1.zip`): 2 files, 7 bytes")
        .says("of 262,144,000 bytes unzipped (1 %)");
    sandbox
        .slashopt(["flatten", "2.zip", "--output", "flat.zip"])
        .success()
        .says("dropped: nothing");
}

#[test]
fn six_layers_that_aws_would_refuse_become_one_that_it_takes() {
    let sandbox = Sandbox::new();
    for number in 1..=6 {
        sandbox.archive(
            &format!("{number}.zip"),
            &archive([file("f", number.to_string())]),
        );
    }
    let layers = ["1.zip", "2.zip", "3.zip", "4.zip", "5.zip", "6.zip"];
    let words = [
        "--output", "flat.zip", "--quota", "error", "--format", "json",
    ];
    let arguments = ["flatten"].into_iter().chain(layers).chain(words);
    let json = sandbox.slashopt(arguments).success().json();
    let sentence = "Cannot reference more than 5 layers.";
    assert_eq!(json["quota"]["exceeded_before"], json!([sentence]));
    assert_eq!(json["quota"]["exceeded"], json!([]));
}

#[test]
fn what_is_still_too_large_is_said_in_the_words_of_aws() {
    let sandbox = Sandbox::new();
    // Noise does not compress.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_le_bytes()[7]
    })
    .take(52_428_800)
    .collect();
    sandbox.archive("1.zip", &archive([file("noise", noise)]));
    let sentence =
        "AWS Lambda would refuse this layer: Zipped size must be smaller than 52428800 bytes";
    let run =
        |quota| sandbox.slashopt(["flatten", "1.zip", "--output", "flat.zip", "--quota", quota]);
    run("error").status(3).stderr_contains(sentence).has_hint();
    assert!(!sandbox.path("flat.zip").exists());
    run("warn").success().stderr_contains(sentence);
    run("off").success().stderr_lacks("AWS");
    // A hole costs nothing.
    sandbox.mkdir("large", 0o755);
    let hole = fs::File::create(sandbox.path("large/hole")).unwrap();
    hole.set_len(262_144_000).unwrap();
    fs::remove_file(sandbox.path("flat.zip")).unwrap();
    sandbox
        .slashopt([
            "flatten", "large", "--output", "flat.zip", "--quota", "error",
        ])
        .status(3)
        .stderr_contains("Unzipped size must be smaller than 262144000 bytes");
    assert_eq!(
        sandbox.everything().paths(),
        ["1.zip", "large", "large/hole"]
    );
}

#[test]
fn times_that_no_dos_time_can_hold_survive_and_the_impossible_ones_are_said() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("layer", 0o755);
    let times: [(i64, i64); 8] = [
        (-2_147_483_648, -2_147_483_648),
        (-1, -1),
        (0, 0),
        (1_709_251_199, 1_709_251_199),
        (2_147_483_649, 2_147_483_649),
        (4_294_967_295, 4_294_967_295),
        (4_294_967_299, 4_294_967_298),
        (5_000_000_000, 4_354_819_198),
    ];
    for (time, _) in times {
        let path = sandbox.write(format!("layer/{time}"), "x");
        let moment = if time < 0 {
            SystemTime::UNIX_EPOCH - Duration::from_secs(time.unsigned_abs())
        } else {
            SystemTime::UNIX_EPOCH + Duration::from_secs(time.unsigned_abs())
        };
        let opened = fs::File::options().write(true).open(path).unwrap();
        opened.set_modified(moment).unwrap();
    }
    if sandbox.tree("layer").mtime("5000000000") != 5_000_000_000 {
        eprintln!("skipped: this file system cannot hold late times");
        return;
    }
    sandbox
        .slashopt(["flatten", "layer", "--output", "flat.zip"])
        .success()
        .stderr_contains(
            "2 entries are set to the nearest time that a zip archive can hold: `4294967299`, `5000000000`",
        );
    sandbox
        .slashopt(["extract", "flat.zip", "--into", "opt"])
        .success();
    let tree = sandbox.tree("opt");
    for (time, read_back) in times {
        assert_eq!(tree.mtime(time.to_string()), read_back, "{time}");
    }
}

#[test]
fn more_entries_than_sixteen_bits_count_are_read_by_everybody() {
    let sandbox = Sandbox::new();
    for number in 1..=2 {
        let entries = (0..35_000).map(|entry| file(format!("{number}/{entry}"), ""));
        sandbox.archive(&format!("{number}.zip"), &archive(entries));
    }
    flatten(&sandbox, 2, &[]).success();
    let json = sandbox
        .slashopt([
            "extract",
            "flat.zip",
            "--into",
            "opt",
            "--dry-run",
            "--format",
            "json",
        ])
        .success()
        .json();
    assert_eq!(json["files"], 70_000);
    let list = "import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))";
    for (reader, words) in [
        ("python3", &["python3", "-c", list, "flat.zip"][..]),
        ("unzip", &["sh", "-c", "unzip -Z1 flat.zip | wc -l"]),
        ("bsdtar", &["sh", "-c", "bsdtar -tf flat.zip | wc -l"]),
        ("jar", &["sh", "-c", "jar tf flat.zip | wc -l"]),
    ] {
        if skip_without(reader) {
            continue;
        }
        let output = tool(words[0])
            .args(&words[1..])
            .current_dir(sandbox.work())
            .output()
            .unwrap();
        let count = String::from_utf8(output.stdout).unwrap();
        assert_eq!(count.trim(), "70002", "{reader}");
    }
}

/// Large entries of archives stream, large files of directories are cut into blocks; both are the same with any memory.
#[test]
fn large_entries_are_whole_with_any_number_of_threads() {
    let sandbox = Sandbox::new();
    let mut state = 1_u32;
    let text: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"etaoin shrdlu"[(state >> 28) as usize % 13]
    })
    .take(20_000_001)
    .collect();
    sandbox.archive(
        "1.zip",
        &archive([file("kept", &text).deflated(), file("stored", &text)]),
    );
    sandbox.mkdir("2", 0o755);
    sandbox.write("2/blocks", &text);
    sandbox.write("2/small", &text[..100]);
    for exactly in [8 << 20, (8 << 20) + 1, 9 << 20] {
        sandbox.write(format!("2/{exactly}"), &text[..exactly]);
    }
    let mut seen: Option<Vec<u8>> = None;
    for threads in ["1", "3", "16"] {
        sandbox
            .slashopt([
                "flatten",
                "1.zip",
                "2",
                "--output",
                "flat.zip",
                "--threads",
                threads,
                "--quiet",
            ])
            .success();
        let bytes = fs::read(sandbox.path("flat.zip")).unwrap();
        assert!(seen.is_none_or(|seen| seen == bytes), "{threads} threads");
        seen = Some(bytes);
    }
    sandbox
        .slashopt(["extract", "flat.zip", "--into", "opt"])
        .success();
    let tree = sandbox.tree("opt");
    for name in ["kept", "stored", "blocks"] {
        assert!(tree.text(name).as_bytes() == text, "{name}");
    }
    everybody_reads(&sandbox, "flat.zip", &tree);
}

#[test]
fn of_several_bad_entries_the_first_is_named_and_the_old_archive_stays() {
    let sandbox = Sandbox::new();
    let broken = |name: &str| {
        file(name, "right").in_both(crate::support::zip::Field::Crc, u64::from(crc32(b"wrong")))
    };
    let fine = (0..200).map(|number| file(format!("f{number}"), vec![b'x'; 3000]).deflated());
    sandbox.archive("1.zip", &archive(fine));
    // In the archive `z` comes first, in the sorted result `a`.
    sandbox.archive("2.zip", &archive([broken("z"), broken("a"), broken("m")]));
    sandbox.write("flat.zip", "the old one");
    let before = sandbox.everything();
    for threads in ["1", "2", "16"] {
        flatten(&sandbox, 2, &["--threads", threads])
            .status(3)
            .stderr_contains("layer 2 of 2 (`2.zip`): entry `z`")
            .has_hint();
        sandbox.everything().assert_is(&before);
    }
}

#[test]
fn an_output_that_is_no_file_is_refused_before_any_work() {
    let sandbox = sandbox_with_two_layers();
    sandbox.mkdir("directory", 0o755);
    symlink("1.zip", sandbox.path("link")).unwrap();
    let before = sandbox.everything();
    for (output, why) in [
        ("directory", "it is a directory"),
        ("directory/", "it is a directory"),
        ("link", "something is there that is not a regular file"),
        ("/dev/null", "something is there that is not a regular file"),
        ("missing/flat.zip", "No such file or directory"),
    ] {
        sandbox
            .slashopt(["flatten", "1.zip", "--output", output])
            .status(4)
            .stderr_contains(why)
            .has_hint();
        sandbox.everything().assert_is(&before);
    }
}

#[test]
fn standard_output_takes_the_archive_alone() {
    let sandbox = sandbox_with_two_layers();
    flatten(&sandbox, 2, &[]).success();
    let script = format!(
        "{} flatten 1.zip 2.zip --output - >piped.zip 2>said",
        program()
    );
    let run = |script: &str| {
        tool("sh")
            .args(["-c", script])
            .current_dir(sandbox.work())
            .status()
            .unwrap()
    };
    assert!(run(&script).success());
    let read = |name| fs::read(sandbox.path(name)).unwrap();
    assert!(read("piped.zip") == read("flat.zip"));
    let said = String::from_utf8(read("said")).unwrap();
    assert!(said.contains("note: standard output: 5 files"), "{said}");
    sandbox
        .slashopt(["flatten", "1.zip", "--output", "-", "--format", "json"])
        .status(2)
        .has_hint();
    if skip_without("script") {
        return;
    }
    let terminal = format!(
        "script -qec '{} flatten 1.zip --output -' /dev/null >said",
        program()
    );
    assert!(!run(&terminal).success());
    let said = String::from_utf8_lossy(&read("said")).into_owned();
    assert!(said.contains("standard output is a terminal"), "{said}");
}

#[test]
fn a_layer_may_be_replaced_by_what_it_is_flattened_into() {
    let sandbox = sandbox_with_two_layers();
    flatten(&sandbox, 2, &[]).success();
    sandbox
        .slashopt(["flatten", "1.zip", "2.zip", "--output", "1.zip", "--quiet"])
        .success();
    let read = |name| fs::read(sandbox.path(name)).unwrap();
    assert!(read("1.zip") == read("flat.zip"));
}

#[test]
fn a_full_disk_leaves_the_old_archive_and_nothing_else() {
    let sandbox = Sandbox::new();
    if skip_unless_root(&sandbox) {
        return;
    }
    let Some(_mounted) = Tmpfs::on(&sandbox.mkdir("small", 0o755), "size=256k") else {
        return;
    };
    sandbox.archive("1.zip", &archive([file("f", vec![b'x'; 1 << 20])]));
    sandbox.write("small/flat.zip", "the old one");
    let before = sandbox.everything();
    sandbox
        .slashopt(["flatten", "1.zip", "--output", "small/flat.zip"])
        .status(4)
        .stderr_contains("No space left on device")
        .has_hint();
    sandbox.everything().assert_is(&before);
}

/// Every call that works on the output fails once.
#[test]
fn whatever_call_fails_there_is_the_old_archive_or_the_new_one_and_nothing_else() {
    let sandbox = sandbox_with_two_layers();
    if skip_without_strace(&sandbox) {
        return;
    }
    flatten(&sandbox, 2, &[]).success();
    let new = fs::read(sandbox.path("flat.zip")).unwrap();
    sandbox.write("flat.zip", "the old one");
    let before = sandbox.everything().paths();
    let mut failures = 0;
    for call in [
        "openat", "write", "pread64", "fchmod", "close", "rename", "flock", "statx", "lseek",
    ] {
        for number in 1..60 {
            sandbox.write("flat.zip", "the old one");
            let finished = sandbox
                .command([
                    "flatten",
                    "1.zip",
                    "2.zip",
                    "--output",
                    "flat.zip",
                    "--threads",
                    "1",
                ])
                .under(injected(call, "error=EIO", &number.to_string()))
                .run();
            let found = fs::read(sandbox.path("flat.zip")).unwrap();
            let what = format!("{call} {number}");
            assert_eq!(sandbox.everything().paths(), before, "{what}\n{finished}");
            assert!(
                found == new || found == b"the old one",
                "{what}\n{finished}"
            );
            if finished.code() == Some(0) {
                assert!(found == new, "{what}\n{finished}");
            } else {
                failures += 1;
                assert!(finished.signal().is_none(), "{what}\n{finished}");
                assert!(finished.code() != Some(101), "{what}\n{finished}");
            }
            let is_beyond = finished.code() == Some(0) && number > 40;
            if is_beyond {
                break;
            }
        }
    }
    assert!(failures > 10, "hardly anything failed: {failures}");
}

#[test]
#[cfg(feature = "read-back")]
fn an_archive_that_is_not_what_was_written_does_not_appear() {
    let sandbox = sandbox_with_two_layers();
    if skip_without_strace(&sandbox) {
        return;
    }
    sandbox.mkdir("directory", 0o755);
    // More than is written at once, and cannot be deflated: so another byte of it is neither of a header nor of a stream's end.
    sandbox.write("directory/large", noise(5 << 20));
    sandbox.archive("3.zip", &archive([file("noise", noise(3 << 20))]));
    for command in [
        &["flatten", "1.zip", "2.zip", "3.zip", "--threads", "1"][..],
        &["pack", "directory", "--threads", "1"],
    ] {
        let command = [command, &["--output", "new.zip"]].concat();
        sandbox.slashopt(&command).success();
        let good = fs::read(sandbox.path("new.zip")).unwrap();
        let mut noticed = 0;
        for change in ["poke_enter=@arg2=aa55aa55", "retval=1"] {
            for number in 1..20 {
                sandbox.write("new.zip", "the old one");
                let before = sandbox.everything().paths();
                let finished = sandbox
                    .command(&command)
                    .under(injected("write", change, &number.to_string()))
                    .run();
                let found = fs::read(sandbox.path("new.zip")).unwrap();
                let what = format!("{command:?}: {change} {number}");
                assert_eq!(sandbox.everything().paths(), before, "{what}\n{finished}");
                if found == b"the old one" {
                    noticed += 1;
                    finished
                        .status(4)
                        .stderr_contains("the archive: cannot read it back: ");
                } else {
                    assert!(
                        found == good,
                        "{what}: what appeared is damaged\n{finished}"
                    );
                }
            }
        }
        assert!(
            noticed > 2,
            "{command:?}: hardly anything was noticed: {noticed}"
        );
    }
}

/// Bytes that no method makes smaller.
#[cfg(feature = "read-back")]
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn a_signal_leaves_the_old_archive_and_ends_as_a_signal() {
    let sandbox = sandbox_with_two_layers();
    if skip_without_strace(&sandbox) {
        return;
    }
    sandbox.write("flat.zip", "the old one");
    let before = sandbox.everything();
    for (call, number) in [
        ("pread64", "2"),
        ("pread64", "4"),
        ("write", "1"),
        ("fchmod", "1"),
    ] {
        let finished = sandbox
            .command([
                "flatten",
                "1.zip",
                "2.zip",
                "--output",
                "flat.zip",
                "--threads",
                "1",
            ])
            .under(injected(call, "signal=TERM", number))
            .run();
        assert!(
            finished.signal() == Some(15) || finished.code() == Some(0),
            "{call} {number}\n{finished}"
        );
        if finished.signal() == Some(15) {
            sandbox.everything().assert_is(&before);
        } else {
            sandbox.write("flat.zip", "the old one");
        }
    }
}

#[test]
fn what_a_killed_run_left_is_removed_and_what_a_living_one_has_is_not() {
    let sandbox = sandbox_with_two_layers();
    sandbox.write(".flat.zip.slashopt-dead", "left behind");
    let living = sandbox.write(".flat.zip.slashopt-living", "in the making");
    let held = fs::File::open(living).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    flatten(&sandbox, 2, &[]).success();
    let paths = sandbox.everything().paths();
    assert_eq!(
        paths,
        [".flat.zip.slashopt-living", "1.zip", "2.zip", "flat.zip"]
    );
}

#[test]
fn the_file_has_the_mode_that_the_umask_gives() {
    let sandbox = sandbox_with_two_layers();
    for (umask, expected) in [(0o022, "0644"), (0o077, "0600"), (0, "0666")] {
        sandbox
            .command(["flatten", "1.zip", "--output", "flat.zip"])
            .umask(umask)
            .run()
            .success();
        assert_eq!(sandbox.tree(".").mode("flat.zip"), expected);
    }
}

/// Names that are not UTF-8 have no flag, and other readers take them for code page 437: only our own must give them back.
#[test]
fn names_that_are_no_text_are_kept() {
    let sandbox = Sandbox::new();
    sandbox.archive(
        "1.zip",
        &archive([
            file(b"caf\xe9/\xff".as_slice(), "x"),
            link(b"\xfe".as_slice(), b"caf\xe9"),
        ]),
    );
    flatten(&sandbox, 1, &[]).success();
    sandbox
        .slashopt(["extract", "flat.zip", "--into", "opt"])
        .success();
    let tree = sandbox.tree("opt");
    assert_eq!(tree.kind(b"caf\xe9/\xff"), "file");
    assert_eq!(tree.kind(b"\xfe"), "symlink");
}

/// Needs half a minute: with `SLASHOPT_TEST_FULL=1` only.
#[test]
fn an_entry_beyond_four_gigabytes_is_whole() {
    if std::env::var_os("SLASHOPT_TEST_FULL").is_none_or(|value| value != "1") {
        eprintln!("skipped: takes long, and SLASHOPT_TEST_FULL is not 1");
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.mkdir("layer", 0o755);
    let hole = fs::File::create(sandbox.path("layer/a-hole")).unwrap();
    hole.set_len((4 << 30) + 5).unwrap();
    sandbox.write("layer/behind", "behind the hole");
    let done = sandbox.slashopt([
        "flatten", "layer", "--output", "flat.zip", "--level", "1", "--quiet",
    ]);
    done.success();
    let read_back = |name: &str| {
        let json = sandbox
            .slashopt(["list", name, "--format", "json"])
            .success()
            .json();
        let nodes = json["nodes"].as_array().cloned().unwrap_or_default();
        nodes
            .iter()
            .map(|node| node["size"].clone())
            .collect::<Vec<Value>>()
    };
    assert_eq!(read_back("flat.zip"), [json!(4_294_967_301_u64), json!(15)]);
    // Taken over as it is, and verified on the way.
    sandbox
        .slashopt(["flatten", "flat.zip", "--output", "again.zip", "--quiet"])
        .success();
    let read = |name: &str| fs::read(sandbox.path(Path::new(name))).unwrap();
    assert!(read("flat.zip") == read("again.zip"));
    if !skip_without("python3") {
        let test =
            "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)";
        let status = tool("python3")
            .args(["-c", test, "flat.zip"])
            .current_dir(sandbox.work())
            .status()
            .unwrap();
        assert!(status.success());
    }
}
