//! Archives that ask for more than they are worth: each is refused, and the program stays small while it does so. Time and memory
//! are printed; only the memory is held, because time is the machine's.

use std::time::Instant;

use crate::support::command::{Sandbox, skip_without};
use crate::support::machine::tool;
use crate::support::project::program;
use crate::support::zip::{Archive, Field, archive, crc32, deflate, extra, file, link};

/// Most resident memory that refusing a bomb may take, in KiB.
const MOST_KIB: u64 = 100 << 10;

/// Runs a command as the child of a small process: what the kernel says of a child's memory counts the parent's from before the
/// command began, and this one's is not small.
const MEASURE: &str = "
import os, sys
child = os.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print('peak KiB', usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
";

/// The bomb is refused with this sentence, in little memory, and leaves nothing behind.
#[track_caller]
fn is_refused(bomb: &[u8], options: &[&str], sentence: &str) {
    is_refused_within(MOST_KIB, bomb, options, sentence);
}

#[track_caller]
fn is_refused_within(most_kib: u64, bomb: &[u8], options: &[&str], sentence: &str) {
    let sandbox = Sandbox::new();
    sandbox.write("bomb.zip", bomb);
    let arguments = ["extract", "bomb.zip", "--into", "opt", "--threads", "2"];
    let arguments = || arguments.iter().chain(options);
    sandbox
        .slashopt(arguments())
        .status(3)
        .stderr_contains(sentence)
        .has_hint();
    assert_eq!(sandbox.everything().paths(), ["bomb.zip"]);
    if skip_without("python3") {
        return;
    }
    let started = Instant::now();
    let output = tool("python3")
        .args(["-c", MEASURE, program()])
        .args(arguments())
        .current_dir(sandbox.work())
        .env("HOME", sandbox.home())
        .output()
        .expect("Python starts");
    let milliseconds = started.elapsed().as_millis();
    let (said, printed) = (
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    assert_eq!(output.status.code(), Some(3), "{said}");
    let peak_kib: u64 = printed
        .trim()
        .strip_prefix("peak KiB ")
        .and_then(|peak| peak.parse().ok())
        .expect("the peak is printed");
    eprintln!(
        "{:>8} bytes: refused in {milliseconds} ms (Python's start included), {:.1} MiB at the peak: {sentence}",
        bomb.len(),
        f64::from(u32::try_from(peak_kib).unwrap_or(u32::MAX)) / 1024.0
    );
    assert!(peak_kib <= most_kib, "{peak_kib} KiB at the peak: {said}");
}

fn bytes(bomb: &Archive) -> Vec<u8> {
    bomb.bytes()
}

/// Sizes of 64 bits in both headers.
fn sized(name: &str, size: u64, compressed: u64) -> crate::support::zip::Entry {
    let field = extra(1, &[size.to_le_bytes(), compressed.to_le_bytes()].concat());
    file(name, "")
        .deflated()
        .in_both(Field::Size, 0xffff_ffff)
        .in_both(Field::CompressedSize, 0xffff_ffff)
        .local_extra(&field)
        .central_extra(&field)
}

/// Little-endian numbers, each in its width.
fn record(fields: &[(u64, usize)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|&(value, width)| value.to_le_bytes()[..width].to_vec())
        .collect()
}

const ENTRIES: usize = 250;
const KERNEL_BYTES: usize = 10 << 20;

/// One kernel, quoted by all: each file's stream begins with a stored block that holds the next file's local header, and goes on
/// with the next file's own stream (David Fifield, *A better zip bomb*, 2019). Every stream is sound, every CRC is right.
fn quoting_bomb() -> Vec<u8> {
    let kernel_content = vec![b'a'; KERNEL_BYTES];
    let kernel = deflate(&kernel_content);
    // From the last file to the first: its whole record in the archive, and what its stream gives.
    let mut tail: Vec<u8> = Vec::new();
    let (mut stream_bytes, mut content) = (0, Vec::new());
    let mut central = Vec::new();
    for number in (0..ENTRIES).rev() {
        let name = format!("{number:04}");
        if tail.is_empty() {
            tail.clone_from(&kernel);
            (stream_bytes, content) = (kernel.len(), kernel_content.clone());
        } else {
            // What stands at the front of `tail` is the next file's local header: it is quoted.
            let header_bytes = u16::try_from(30 + name.len()).expect("a short header");
            let mut block = record(&[
                (0, 1),
                (header_bytes.into(), 2),
                ((!header_bytes).into(), 2),
            ]);
            stream_bytes += block.len() + usize::from(header_bytes);
            content.splice(0..0, tail[..usize::from(header_bytes)].to_vec());
            block.append(&mut tail);
            tail = block;
        }
        let common = [
            (20, 2),
            (0, 2),
            (8, 2),
            (0, 2),
            (0x21, 2),
            (crc32(&content).into(), 4),
            (stream_bytes as u64, 4),
            (content.len() as u64, 4),
            (name.len() as u64, 2),
            (0, 2),
        ];
        let mut header = record(&[(0x0403_4b50, 4)]);
        header.extend(record(&common));
        header.extend_from_slice(name.as_bytes());
        header.append(&mut tail);
        tail = header;
        central.push((name, common, tail.len()));
    }
    central.reverse();
    let mut bomb = tail;
    let directory = bomb.len();
    for (name, common, from_end) in central {
        bomb.extend(record(&[(0x0201_4b50, 4), (20, 2)]));
        bomb.extend(record(&common));
        let offset = (directory - from_end) as u64;
        bomb.extend(record(&[(0, 2), (0, 2), (0, 2), (0, 4), (offset, 4)]));
        bomb.extend_from_slice(name.as_bytes());
    }
    let size = (bomb.len() - directory) as u64;
    let count = ENTRIES as u64;
    bomb.extend(record(&[
        (0x0605_4b50, 4),
        (0, 4),
        (count, 2),
        (count, 2),
        (size, 4),
        (directory as u64, 4),
        (0, 2),
    ]));
    bomb
}

#[test]
fn entries_that_quote_one_another_are_refused() {
    let bomb = quoting_bomb();
    eprintln!(
        "{} bytes that unzip to {} MiB",
        bomb.len(),
        (ENTRIES * KERNEL_BYTES) >> 20
    );
    is_refused(&bomb, &[], "its data overlaps the data of `0001`");
    is_refused(
        &bomb,
        &["--lenient"],
        "its data overlaps the data of `0001`",
    );
}

#[test]
fn the_bomb_of_the_test_is_a_bomb() {
    // Each entry for itself is sound: who looks at one entry at a time unpacks them all.
    if skip_without("unzip") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("bomb.zip", quoting_bomb());
    for name in ["0000", "0249"] {
        let tested = tool("unzip")
            .args(["-tq", "bomb.zip", name])
            .current_dir(sandbox.work())
            .output()
            .expect("unzip starts");
        assert!(tested.status.success(), "{tested:?}");
    }
}

#[test]
fn entries_that_share_one_kernel_are_refused() {
    let kernel = vec![0; 32 << 20];
    let shared = (1..2000).map(|number| {
        file(format!("{number}"), &kernel[..0])
            .deflated()
            .only_central()
            .in_central(Field::Offset, 0)
    });
    let bomb = archive(std::iter::once(file("0", kernel.clone()).deflated()).chain(shared));
    is_refused(&bytes(&bomb), &[], "its data overlaps the data of");
}

#[test]
fn ratios_that_deflate_cannot_have_are_refused() {
    for size in [1032 * 3 + 1, 1 << 40, 1 << 63, u64::MAX] {
        let bomb = archive([sized("big", size, 2)]);
        is_refused(&bytes(&bomb), &[], "2 bytes cannot inflate to");
    }
}

#[test]
fn a_stored_file_beyond_the_end_of_the_archive_is_refused() {
    for size in [1 << 20, 1 << 40, 1 << 63, u64::MAX] {
        let bomb = archive([sized("big", size, size)
            .in_both(Field::Method, 0)
            .in_both(Field::Crc, 0)]);
        is_refused(&bytes(&bomb), &[], "its data reaches beyond the entries");
        let bomb = archive([
            sized("big", size, size).in_both(Field::Method, 0),
            file("behind", ""),
        ]);
        is_refused(&bytes(&bomb), &[], "its data overlaps the data of `behind`");
    }
}

#[test]
fn sizes_that_lie_are_refused() {
    let stream = deflate(&vec![0; 64 << 20]);
    let lying = |size: u64| {
        bytes(&archive([file("big", "")
            .deflated()
            .raw_data(&stream)
            .in_both(Field::Size, size)]))
    };
    for size in [0, 1, 1000, (64 << 20) - 1] {
        is_refused(&lying(size), &[], "it inflates to another size than the");
    }
    // As large as the ratio allows: the memory to inflate it is taken before it is known that it lies.
    is_refused(
        &lying((64 << 20) + 1),
        &[],
        "it inflates to another size than the",
    );
}

#[test]
fn a_size_that_lies_takes_no_memory() {
    // 300,000 bytes that end at once and claim to inflate to up to 280 MiB.
    let mut stream = vec![3, 0];
    stream.resize(300_000, 0);
    for (size, sentence) in [
        (19_000_000, "it inflates to another size than the"),
        // What cannot be a program streams.
        (200 << 20, "its deflate stream ends before its data does"),
        (280 << 20, "its deflate stream ends before its data does"),
    ] {
        let bomb = archive([file("big", "")
            .deflated()
            .raw_data(&stream)
            .in_both(Field::Size, size)]);
        is_refused(&bytes(&bomb), &[], sentence);
    }
}

#[test]
fn an_end_record_that_claims_everything_is_refused() {
    let claiming = |entries: u64| {
        bytes(
            &archive([file("a", "")])
                .zip64()
                .in_end64(Field::Entries, entries)
                .in_end64(Field::EntriesHere, entries),
        )
    };
    is_refused(&claiming(1 << 62), &[], "4611686018427387904 entries");
    is_refused(&claiming(u64::MAX), &[], "18446744073709551615 entries");
    // Below the limit, and still more than the directory can hold.
    is_refused(&claiming(999_999), &[], "counts 999999 entries");
    is_refused(
        &claiming(1 << 62),
        &["--max-entries", "18446744073709551615"],
        "counts 4611686018427387904 entries",
    );
}

#[test]
fn a_directory_that_claims_gigabytes_is_refused() {
    for (size, sentence) in [
        (2 << 30, "2147483648 bytes long, more than"),
        (256 << 20, "does not lie where the end record says"),
        (1 << 63, "9223372036854775808 bytes long, more than"),
        (u64::MAX, "18446744073709551615 bytes long, more than"),
    ] {
        let bomb = archive([file("a", "")])
            .zip64()
            .in_end64(Field::DirectorySize, size);
        is_refused(&bytes(&bomb), &[], sentence);
    }
}

#[test]
fn a_directory_that_is_too_long_for_its_entries_is_not_read() {
    let sparse = archive([file("a", "")]).behind_directory(vec![0; 20 << 20]);
    is_refused(&bytes(&sparse), &[], "it is longer than its entries can be");
}

#[test]
fn a_target_of_64_mib_is_refused() {
    let bomb = archive([link("link", vec![b't'; 64 << 20]).deflated()]);
    let sentence = "the target of the link is 67108864 bytes long, more than 4095";
    is_refused(&bytes(&bomb), &[], sentence);
}

#[test]
fn a_target_that_lies_is_refused() {
    let stream = deflate(&vec![b't'; 64 << 20]);
    let bomb = archive([link("link", "")
        .deflated()
        .raw_data(stream)
        .in_both(Field::Size, 4095)]);
    is_refused(
        &bytes(&bomb),
        &[],
        "it inflates to another size than the 4095 bytes",
    );
}

#[test]
fn thousands_of_levels_are_refused() {
    let bomb = archive([file("d/".repeat(2000) + "f", "")]);
    is_refused(&bytes(&bomb), &[], "the name has more than 128 levels");
}

/// An archive of so many empty files, which says that it has `stated`; the builder would need far more memory for it.
fn many_entries(count: u32, stated: u64) -> Vec<u8> {
    let mut bomb = Vec::new();
    let mut directory = Vec::new();
    for number in 0..count {
        let name = format!("{number:07}");
        let offset = bomb.len() as u64;
        bomb.extend(record(&[
            (0x0403_4b50, 4),
            (20, 2),
            (0, 4),
            (0x21_0000, 4),
            (0, 8),
            (0, 4),
            (7, 2),
            (0, 2),
        ]));
        bomb.extend_from_slice(name.as_bytes());
        directory.extend(record(&[
            (0x0201_4b50, 4),
            (20, 2),
            (20, 2),
            (0, 4),
            (0x21_0000, 4),
        ]));
        directory.extend(record(&[(0, 8), (0, 4), (7, 2), (0, 8), (0, 4), (0, 2)]));
        directory.truncate(directory.len() - 2);
        directory.extend(record(&[(offset, 4)]));
        directory.extend_from_slice(name.as_bytes());
    }
    let (start, size) = (bomb.len() as u64, directory.len() as u64);
    bomb.append(&mut directory);
    let end = bomb.len() as u64;
    bomb.extend(record(&[
        (0x0606_4b50, 4),
        (44, 8),
        (45, 2),
        (45, 2),
        (0, 8),
    ]));
    bomb.extend(record(&[(stated, 8), (stated, 8), (size, 8), (start, 8)]));
    bomb.extend(record(&[(0x0706_4b50, 4), (0, 4), (end, 8), (1, 4)]));
    bomb.extend(record(&[
        (0x0605_4b50, 4),
        (0, 4),
        (0xffff, 2),
        (0xffff, 2),
    ]));
    bomb.extend(record(&[(0xffff_ffff, 4), (0xffff_ffff, 4), (0, 2)]));
    bomb
}

#[test]
fn the_many_entries_of_the_test_are_entries() {
    let sandbox = Sandbox::new();
    sandbox.write("many.zip", many_entries(12, 12));
    drop(
        sandbox
            .slashopt(["extract", "many.zip", "--into", "opt"])
            .success(),
    );
    assert_eq!(sandbox.tree("opt").count("file"), 12);
}

#[test]
fn a_million_entries_are_refused_when_fewer_are_allowed() {
    let bomb = many_entries(1_000_001, 1_000_001);
    is_refused(&bomb, &[], "1000001 entries");
    is_refused(&bomb, &["--max-entries", "1000"], "1000001 entries");
}

#[test]
fn a_million_entries_that_claim_to_be_few_are_refused() {
    let bomb = many_entries(1_000_000, 1000);
    is_refused(
        &bomb,
        &[],
        "the end record counts 1000 entries, the central directory holds",
    );
}
