//! The table: odd and hostile archives, each built byte by byte, with the verdict that it must get.

#![expect(
    clippy::too_many_lines,
    reason = "a table has as many lines as it has rows"
)]

use crate::support::zip::{
    Archive, DESCRIPTOR, Descriptor, ENCRYPTED, Entry, FAT, Field, MACOS, NTFS, S_IFDIR, S_IFIFO,
    S_IFREG, UTF8, archive, crc32, deflate, directory, extra, file, link,
};

/// What becomes of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It is read, and nothing is said.
    Accepted,
    /// It is read with a warning that contains this.
    Warned(&'static str),
    /// It is refused with a sentence that contains this.
    Refused(&'static str),
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// What is odd about the archive.
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) strict: Verdict,
    pub(super) lenient: Verdict,
    /// The entry that the message names, as it is printed; `None` when it is the archive as a whole.
    pub(super) entry: Option<String>,
    /// Whether the index alone decides, so that not even a temporary directory is made.
    pub(super) is_early: bool,
    /// Tools that read something else than what the format says, and why that is so.
    pub(super) excused: Vec<(&'static str, &'static str)>,
}

impl Case {
    fn new(name: &'static str, archive: &Archive, strict: Verdict, lenient: Verdict) -> Self {
        Self {
            name,
            bytes: archive.bytes(),
            strict,
            lenient,
            entry: None,
            is_early: true,
            excused: Vec::new(),
        }
    }

    /// The entry at fault.
    fn by(mut self, entry: impl Into<String>) -> Self {
        self.entry = Some(entry.into());
        self
    }

    /// The local header, the data or what follows them decides.
    fn late(mut self) -> Self {
        self.is_early = false;
        self
    }

    /// What `--lenient` answers instead.
    fn lenient(mut self, verdict: Verdict) -> Self {
        self.lenient = verdict;
        self
    }

    /// This tool reads it otherwise.
    fn excusing(mut self, tool: &'static str, why: &'static str) -> Self {
        self.excused.push((tool, why));
        self
    }

    fn bytes(mut self, bytes: Vec<u8>) -> Self {
        self.bytes = bytes;
        self
    }
}

fn accepted(name: &'static str, archive: &Archive) -> Case {
    Case::new(name, archive, Verdict::Accepted, Verdict::Accepted)
}

/// Unsafe: refused, also under `--lenient`.
fn refused(name: &'static str, archive: &Archive, why: &'static str) -> Case {
    let verdict = Verdict::Refused(why);
    Case::new(name, archive, verdict.clone(), verdict)
}

/// Refused, but accepted under `--lenient` with the same words as a warning.
fn ambiguous(name: &'static str, archive: &Archive, why: &'static str) -> Case {
    Case::new(name, archive, Verdict::Refused(why), Verdict::Warned(why))
}

/// A good entry before and behind.
fn around(entry: Entry) -> Archive {
    archive([file("before", "good"), entry, file("behind", "good")])
}

/// Lambda keeps it, as `unzip` and Python do.
const BACKSLASH: &str = "it takes a backslash for a slash";

fn good() -> [Entry; 2] {
    [file("a", "good"), file("b", "better").deflated()]
}

/// Little-endian numbers of 64 bits, as a zip64 field holds them.
fn longs(values: &[u64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Bytes 48 to 55 of a zip64 end record say where the central directory begins, those before how long it is.
fn directory_of(zip64: &Archive) -> (u64, u64) {
    let bytes = zip64.bytes();
    let record = bytes
        .windows(4)
        .rposition(|window| window == b"PK\x06\x06")
        .expect("there is a zip64 end record");
    let long = |at: usize| {
        u64::from_le_bytes(
            bytes[record + at..record + at + 8]
                .try_into()
                .expect("eight bytes"),
        )
    };
    (long(40), long(48))
}

pub(super) fn all() -> Vec<Case> {
    [
        the_end_of_the_archive(),
        zip64(),
        the_index(),
        names(),
        kinds_and_sizes(),
        several_entries(),
        local_headers(),
        data(),
        odd_but_valid(),
    ]
    .concat()
}

pub(super) fn the_end_of_the_archive() -> Vec<Case> {
    let comment_that_straddles = {
        // The length of the comment is `PK`, and the comment goes on with the rest of a signature.
        let mut comment = b"\x05\x06".to_vec();
        comment.resize(0x4b50, b'.');
        comment
    };
    vec![
        refused("an empty file", &archive([]), "it is empty").bytes(Vec::new()),
        refused("text", &archive([]), "it is not a zip archive").bytes(b"just text\n".repeat(99)),
        refused("nothing but NULs", &archive([]), "it is not a zip archive").bytes(vec![0; 4096]),
        refused(
            "an end record without its last byte",
            &archive([]),
            "it is not a zip archive",
        )
        .bytes(archive([]).bytes()[..21].to_vec()),
        ambiguous(
            "text behind the end",
            &archive(good()).suffix("trailing"),
            "8 bytes follow the end of the archive",
        ),
        ambiguous(
            "more text behind the end than is glanced at",
            &archive(good()).suffix("trailing".repeat(400)),
            "3200 bytes follow the end of the archive",
        ),
        ambiguous(
            "padding that is not padding to its last byte",
            &archive(good()).suffix(b"\0\0\0x"),
            "4 bytes follow the end of the archive",
        ),
        refused(
            "an end record in the comment of another",
            &archive(good()).comment(archive([]).bytes()),
            "more than one end of central directory record",
        ),
        refused(
            "an end record that ends where that does whose long comment it lies in",
            &archive(good()).comment([vec![b'.'; 3000], archive([]).bytes()].concat()),
            "more than one end of central directory record",
        ),
        refused(
            "a signature in the comment",
            &archive(good()).comment("PK\x03\x04"),
            "a comment contains a zip signature",
        ),
        refused(
            "a signature that begins in the length of the comment",
            &archive(good()).comment(comment_that_straddles),
            "a comment contains a zip signature",
        ),
        refused(
            "a signature in the comment of an entry",
            &around(file("odd", "").comment("PK\x05\x06")),
            "a comment contains a zip signature",
        )
        .by("odd"),
        refused(
            "the second of two disks",
            &archive(good()).in_end(Field::Disk, 1),
            "spans several disks",
        ),
        refused(
            "a directory on another disk",
            &archive(good()).in_end(Field::DirectoryDisk, 1),
            "spans several disks",
        ),
        refused(
            "entries on other disks",
            &archive(good()).in_end(Field::EntriesHere, 1),
            "spans several disks",
        ),
        refused(
            "more entries counted than there are",
            &archive(good())
                .in_end(Field::Entries, 3)
                .in_end(Field::EntriesHere, 3),
            "the end record counts 3 entries, the central directory holds 2",
        ),
        refused(
            "fewer entries counted than there are",
            &archive(good())
                .in_end(Field::Entries, 1)
                .in_end(Field::EntriesHere, 1),
            "the end record counts 1 entries, the central directory holds",
        ),
        refused(
            "65,536 entries counted in 16 bits",
            &archive((0..0x1_0000).map(|number| file(format!("{number}"), "")))
                .in_end(Field::Entries, 0)
                .in_end(Field::EntriesHere, 0),
            "the end record counts 0 entries, the central directory holds",
        ),
        ambiguous(
            "a script in front that no offset counts",
            &archive(good()).prefix("#!/bin/sh\n"),
            "10 bytes stand before the first entry",
        ),
        ambiguous(
            "a script in front that all offsets count",
            &archive(good()).counted_prefix("#!/bin/sh\n"),
            "10 bytes stand before the first entry",
        ),
        ambiguous(
            "NULs in front",
            &archive(good()).counted_prefix([0; 4]),
            "4 bytes stand before the first entry",
        ),
        ambiguous(
            "an empty directory behind an entry that it does not name",
            &archive([file("hidden", "seen by who reads from the front").only_local()]),
            "68 bytes stand before the first entry",
        ),
        ambiguous(
            "an empty directory behind text that its offset does not count",
            &archive([]).prefix("text"),
            "4 bytes stand before the first entry",
        ),
        ambiguous(
            "a directory that is said to begin a byte too early",
            &archive([file("a", "good")]).in_end(Field::DirectoryOffset, 34),
            "1 bytes stand before the first entry",
        )
        .lenient(Verdict::Refused("its data reaches beyond the entries")),
        refused(
            "a directory that is said to begin too late",
            &archive(good()).in_end(Field::DirectoryOffset, 4000),
            "does not lie where the end record says",
        ),
        refused(
            "a directory that is said to be longer than the file",
            &archive(good()).in_end(Field::DirectorySize, 0x00ff_ffff),
            "does not lie where the end record says",
        ),
        refused(
            "a directory of 2 GiB",
            &archive(good())
                .zip64()
                .in_end64(Field::DirectorySize, 2 << 30),
            "the central directory is 2147483648 bytes long",
        ),
        refused(
            "an entry of the directory without signature",
            &around(file("odd", "").in_central(Field::Signature, 0)),
            "the central directory is damaged: an entry is not one",
        ),
        refused(
            "junk that counts as part of the directory",
            &archive(good()).behind_directory("junk"),
            "the central directory is damaged: an entry is not one",
        ),
        refused(
            "a digital signature of the directory, which no other reader takes",
            &archive(good()).behind_directory(b"PK\x05\x05\x04\x00sign"),
            "the central directory is damaged: an entry is not one",
        ),
    ]
}

pub(super) fn zip64() -> Vec<Case> {
    let whole = || archive(good()).zip64();
    let (size, offset) = directory_of(&whole());
    let five = || file("odd", "12345");
    let field = |values: &[u64]| extra(1, &longs(values));
    vec![
        accepted("zip64 end records", &whole()),
        accepted(
            "zip64 end records that repeat what the plain one says",
            &whole()
                .in_end(Field::Entries, 2)
                .in_end(Field::EntriesHere, 2)
                .in_end(Field::DirectorySize, size)
                .in_end(Field::DirectoryOffset, offset),
        ),
        accepted(
            "disk numbers that are in the zip64 record",
            &whole()
                .in_end(Field::Disk, 0xffff)
                .in_end(Field::DirectoryDisk, 0xffff),
        ),
        refused(
            "a locator that points elsewhere",
            &whole().in_locator(Field::RecordOffset, 7),
            "the locator points elsewhere than to the record",
        ),
        refused(
            "a locator that points beyond everything",
            &whole().in_locator(Field::RecordOffset, u64::MAX),
            "the locator points elsewhere than to the record",
        ),
        refused(
            "a byte between record and locator",
            &whole().behind_record("x"),
            "the record does not stand directly before its locator",
        ),
        refused(
            "a locator without record",
            &whole().in_end64(Field::Signature, 0),
            "the record does not stand directly before its locator",
        ),
        refused(
            "extensible data",
            &whole().in_end64(Field::RecordSize, 45),
            "the record has extensible data",
        ),
        refused(
            "two disks in the locator",
            &whole().in_locator(Field::Disk, 2),
            "they speak of several disks",
        ),
        refused(
            "another disk in the record",
            &whole().in_end64(Field::Disk, 1),
            "they speak of several disks",
        ),
        refused(
            "fewer entries on this disk in the record",
            &whole().in_end64(Field::EntriesHere, 1),
            "they speak of several disks",
        ),
        refused(
            "another count in the plain end record",
            &whole()
                .in_end(Field::Entries, 1)
                .in_end(Field::EntriesHere, 1),
            "the end record gives other values",
        ),
        refused(
            "another offset in the plain end record",
            &whole().in_end(Field::DirectoryOffset, 0),
            "the end record gives other values",
        ),
        accepted("zip64 sizes", &around(five().zip64())),
        accepted(
            "zip64 sizes that repeat what the plain fields say",
            &around(
                five()
                    .zip64()
                    .in_both(Field::Size, 5)
                    .in_both(Field::CompressedSize, 5)
                    .in_central(Field::Offset, 40),
            ),
        ),
        accepted(
            "an offset that is in the zip64 field alone",
            &archive([five()
                .in_central(Field::Offset, 0xffff_ffff)
                .central_extra(field(&[0]))]),
        ),
        accepted(
            "a disk that is in the zip64 field",
            &archive([five()
                .in_central(Field::Offset, 0xffff_ffff)
                .in_central(Field::Disk, 0xffff)
                .central_extra(extra(1, &[0; 12]))]),
        ),
        refused(
            "an entry on another disk",
            &around(five().in_central(Field::Disk, 1)),
            "it lies on another disk",
        )
        .by("odd"),
        refused(
            "a zip64 field that says otherwise",
            &around(five().central_extra(field(&[9, 9]))),
            "the zip64 field repeats a size with another value",
        )
        .by("odd"),
        refused(
            "a zip64 field without the value that was asked for",
            &around(
                five()
                    .in_central(Field::Size, 0xffff_ffff)
                    .central_extra(extra(1, &[0; 4])),
            ),
            "the zip64 field holds other values than were asked for",
        )
        .by("odd"),
        refused(
            "a zip64 field that holds more than there is to say",
            &around(five().central_extra(field(&[5, 5, 40, 0]))),
            "the zip64 field is longer than its values",
        )
        .by("odd"),
        refused(
            "a saturated size without a zip64 field",
            &around(five().in_both(Field::Size, 0xffff_ffff)),
            "it is stored, but its compressed size 5 is not its uncompressed size 4294967295",
        )
        .by("odd"),
        refused(
            "two zip64 fields",
            &around(five().zip64().central_extra(field(&[5, 5, 40]))),
            "its extra fields are damaged: two give zip64 sizes",
        )
        .by("odd"),
        ambiguous(
            "a zip64 field in the local header that says otherwise",
            &around(five().local_extra(field(&[9, 9]))),
            "the local header gives another size in its zip64 field",
        )
        .by("odd")
        .late(),
    ]
}

/// Entries as the central directory describes them, but for names, kinds and sizes.
pub(super) fn the_index() -> Vec<Case> {
    let odd = || file("odd", "12345");
    let unicode = |crc: u32, name: &str| [&[1], &crc.to_le_bytes()[..], name.as_bytes()].concat();
    let right = crc32(b"odd");
    let mut cases = vec![
        refused(
            "a Unicode name that is another one",
            &around(odd().extra(0x7075, unicode(right, "other"))),
            "its Unicode name gives another name",
        )
        .by("odd"),
        refused(
            "a Unicode name of a name that is not Unicode",
            &around(file(b"caf\x82", "").extra(0x7075, unicode(crc32(b"caf\x82"), "caf\u{e9}"))),
            "its Unicode name gives another name",
        )
        .by("caf\\x82"),
        refused(
            "a Unicode name that is another one in the local header",
            &around(odd().local_extra(extra(0x7075, &unicode(right, "other")))),
            "its Unicode name gives another name",
        )
        .by("odd")
        .late(),
        accepted(
            "a Unicode name that is the same one",
            &around(odd().extra(0x7075, unicode(right, "odd"))),
        ),
        accepted(
            "a Unicode name of a name that was changed since",
            &around(odd().extra(0x7075, unicode(right ^ 1, "other"))),
        ),
        refused(
            "two Unicode names",
            &around(
                odd()
                    .central_extra(extra(0x7075, &unicode(right, "odd")))
                    .central_extra(extra(0x7075, &unicode(right, "odd"))),
            ),
            "its extra fields are damaged: two give a Unicode name",
        )
        .by("odd"),
        refused(
            "an extra field that is cut off",
            &around(odd().central_extra([1, 2, 200, 0, 1])),
            "its extra fields are damaged: one is cut off",
        )
        .by("odd"),
        refused(
            "an extra field that is cut off in the local header",
            &around(odd().local_extra([1, 2, 200, 0, 1])),
            "its extra fields are damaged: one is cut off",
        )
        .by("odd")
        .late(),
        refused(
            "padding of extra fields that is not zero",
            &around(odd().central_extra([0, 1])),
            "its extra fields are damaged: one is cut off",
        )
        .by("odd"),
        refused(
            "patch data",
            &around(odd().flag(1 << 5)),
            "it holds patch data",
        )
        .by("odd"),
        refused(
            "method 99",
            &around(odd().in_both(Field::Method, 99)),
            "it is encrypted",
        )
        .by("odd"),
    ];
    for (name, bits) in [
        ("encryption", ENCRYPTED),
        ("strong encryption", ENCRYPTED | 1 << 6),
        ("strong encryption without the plain bit", 1 << 6),
        ("masked headers", 1 << 13),
    ] {
        cases.push(refused(name, &around(odd().flag(bits)), "it is encrypted").by("odd"));
    }
    for (name, method, sentence) in [
        ("method 1", 1, "compression method 1 (shrink) is not"),
        ("method 9", 9, "compression method 9 (deflate64) is not"),
        ("method 12", 12, "compression method 12 (bzip2) is not"),
        ("method 14", 14, "compression method 14 (lzma) is not"),
        ("method 93", 93, "compression method 93 (zstd) is not"),
        ("method 95", 95, "compression method 95 (xz) is not"),
        ("method 7777", 7777, "compression method 7777 is not"),
    ] {
        cases.push(
            refused(
                name,
                &around(odd().in_both(Field::Method, method)),
                sentence,
            )
            .by("odd"),
        );
    }
    cases
}

pub(super) fn names() -> Vec<Case> {
    let named = |what, name: &[u8], sentence| {
        let bad = around(file(name, "evil"));
        refused(what, &bad, sentence).by(String::from_utf8_lossy(name))
    };
    let leaves = "the name leaves the root: it contains a `..` component";
    vec![
        named("no name", b"", "the name is empty"),
        named("an absolute name", b"/etc/passwd", "the name is absolute"),
        named(
            "two slashes in front",
            b"//etc/passwd",
            "the name is absolute",
        ),
        named("a drive", b"C:/evil", "the name begins with a drive letter"),
        named(
            "a drive and a relative name",
            b"c:evil",
            "begins with a drive letter",
        ),
        named("a parent in front", b"../evil", leaves),
        named("a parent in between", b"a/../../evil", leaves),
        named("a parent that stays inside", b"a/../evil", leaves),
        named("a parent at the end", b"a/..", leaves),
        named("a parent behind dots and slashes", b".//./..//evil", leaves),
        named("a NUL", b"evil\0.txt", "the name contains a NUL byte").by("evil\\x00.txt"),
        named("a newline", b"ev\nil", "the control character 0x0a").by("ev\\x0ail"),
        named("an escape", b"\x1b[31mevil", "the control character 0x1b").by("\\x1b[31mevil"),
        named("a delete", b"evil\x7f", "the control character 0x7f").by("evil\\x7f"),
        named(
            "129 levels",
            &b"d/".repeat(129),
            "the name has more than 128 levels",
        ),
        named(
            "a long component",
            &[b'n'; 256],
            "is 256 bytes long, more than 255",
        ),
        named(
            "a long name",
            &b"d".repeat(4096),
            "the name is 4096 bytes long, more than 4095",
        ),
        refused(
            "a name that is said to be UTF-8",
            &around(file(b"caf\xe9", "").flag(UTF8)),
            "the name is marked as UTF-8 and is not",
        )
        .by("caf\\xe9"),
        refused(
            "an overlong slash in a name that is said to be UTF-8",
            &around(file(b"..\xc0\xafevil", "").flag(UTF8)),
            "the name is marked as UTF-8 and is not",
        )
        .by("..\\xc0\\xafevil"),
        refused(
            "a surrogate in a name that is said to be UTF-8",
            &around(file(b"\xed\xa0\x80", "").flag(UTF8)),
            "the name is marked as UTF-8 and is not",
        )
        .by("\\xed\\xa0\\x80"),
    ]
}

pub(super) fn kinds_and_sizes() -> Vec<Case> {
    let odd = |entry: Entry| around(entry);
    let slashless = "its attributes say directory, its name does not end in `/`";
    let mut cases = vec![
        ambiguous(
            "a directory without slash",
            &odd(directory("odd")),
            slashless,
        )
        .by("odd"),
        ambiguous(
            "a directory of MS-DOS without slash",
            &odd(file("odd", "")
                .host(FAT)
                .without_mode()
                .in_central(Field::ExternalAttributes, 0x10)),
            slashless,
        )
        .by("odd"),
        ambiguous(
            "a file that MS-DOS calls a directory",
            &odd(file("odd", "").in_central(Field::ExternalAttributes, 0o100_644 << 16 | 0x10)),
            slashless,
        )
        .by("odd"),
        ambiguous(
            "a file with a slash",
            &odd(directory("odd/").kind(S_IFREG)),
            "its name ends in `/`, its attributes say regular file",
        )
        .by("odd/"),
        refused(
            "a link with a slash",
            &odd(link("odd/", "target")),
            "its name ends in `/`, its attributes say symbolic link",
        )
        .by("odd/"),
        refused(
            "a file that is the root",
            &odd(file(".", "evil")),
            "it names the root and is not a directory",
        )
        .by("."),
        refused(
            "a link that is the root",
            &odd(link("./.", "/etc")),
            "it names the root and is not a directory",
        )
        .by("./."),
        refused(
            "a directory with bytes",
            &odd(file("odd/", "evil").kind(S_IFDIR)),
            "a directory with data",
        )
        .by("odd/"),
        refused(
            "a directory with a stream of many bytes that gives none",
            &odd(directory("odd/").deflated().raw_data([1, 0, 0, 0xff, 0xff])),
            "a directory with data",
        )
        .by("odd/"),
        refused(
            "a directory with a stream of two bytes that is none",
            &odd(directory("odd/").deflated().raw_data([0xff, 0xff])),
            "it does not inflate",
        )
        .by("odd/")
        .late(),
        refused(
            "a directory with the CRC of something else",
            &odd(directory("odd/").in_both(Field::Crc, 1)),
            "the CRC-32 is 00000000, not 00000001",
        )
        .by("odd/")
        .late(),
        refused(
            "a stored file of two sizes",
            &odd(file("odd", "12345").in_both(Field::Size, 3)),
            "it is stored, but its compressed size 5 is not its uncompressed size 3",
        )
        .by("odd"),
        refused(
            "a ratio above that of deflate",
            &odd(file("odd", "")
                .deflated()
                .in_both(Field::Size, 1032 * 3 + 1)),
            "2 bytes cannot inflate to 3097",
        )
        .by("odd"),
        refused(
            "a link to nothing",
            &odd(link("odd", "")),
            "the target of the link is empty",
        )
        .by("odd"),
        refused(
            "a link with a long target",
            &odd(link("odd", "t".repeat(4096))),
            "the target of the link is 4096 bytes long, more than 4095",
        )
        .by("odd"),
        refused(
            "a link with a NUL in its target",
            &odd(link("odd", b"target\0evil")),
            "the target of the link contains a NUL byte",
        )
        .by("odd"),
        refused(
            "17 MiB of targets",
            &archive((0..4_300).map(|at| link(format!("{at}"), [b't'; 4095]).deflated())),
            "the targets of its links are longer than 16 MiB together",
        ),
        refused(
            "a local header that belongs to another entry too",
            &archive([
                file("a", "shared"),
                file("odd", "shared")
                    .only_central()
                    .in_central(Field::Offset, 0),
            ]),
            "its data overlaps the data of `odd`",
        )
        .by("a"),
        refused(
            "data that reaches into the next entry",
            &odd(file("odd", "1234")
                .in_both(Field::Size, 5)
                .in_both(Field::CompressedSize, 5)),
            "its data overlaps the data of `behind`",
        )
        .by("odd"),
        refused(
            "data that reaches into the directory",
            &archive([file("odd", "1234")
                .in_both(Field::Size, 5)
                .in_both(Field::CompressedSize, 5)]),
            "its data reaches beyond the entries",
        )
        .by("odd"),
        refused(
            "an offset behind the directory",
            &odd(file("odd", "").in_central(Field::Offset, 0x00ff_ffff)),
            "its data reaches beyond the entries",
        )
        .by("odd"),
        refused(
            "an extra field in the local header alone that pushes data into the directory",
            &archive([file("odd", [0; 20]).in_local(Field::ExtraLength, 10)]),
            "its data reaches beyond the entries",
        )
        .by("odd")
        .late(),
    ];
    for (name, bits, sentence) in [
        ("a FIFO", S_IFIFO, "it is a FIFO"),
        ("a character device", 0o020_000, "it is a character device"),
        ("a block device", 0o060_000, "it is a block device"),
        ("a socket", 0o140_000, "it is a socket"),
        (
            "an unknown type",
            0o030_000,
            "it is a file of an unknown type",
        ),
        ("a whiteout", 0o160_000, "it is a file of an unknown type"),
    ] {
        cases.push(refused(name, &odd(file("odd", "").kind(bits)), sentence).by("odd"));
        let of_macos = file("odd", "").kind(bits).host(MACOS);
        cases.push(refused(name, &odd(of_macos), sentence).by("odd"));
    }
    cases
}

pub(super) fn several_entries() -> Vec<Case> {
    let twice = "the archive names it twice, and the two differ in";
    let both = "the archive names it both as a directory and as something else";
    vec![
        accepted(
            "the same file twice",
            &archive([file("a", "good"), file("a", "good")]),
        ),
        accepted(
            "the same directory twice",
            &archive([directory("d/"), directory("d/"), directory("d//")]),
        ),
        ambiguous(
            "two files of one name",
            &archive([file("a", "one"), file("a", "other")]),
            "the archive names it twice, and the two differ in content",
        )
        .by("a"),
        ambiguous(
            "two files of one name, spelled differently",
            &archive([file("d/a", "one"), file("./d//a", "other")]),
            twice,
        )
        .by("./d//a"),
        ambiguous(
            "two files of one name and two modes",
            &archive([file("a", "one"), file("a", "one").mode(0o755)]),
            "the archive names it twice, and the two differ in mode",
        )
        .by("a"),
        ambiguous(
            "a file and a link of one name",
            &archive([file("a", "target"), link("a", "target")]),
            "the archive names it twice, and the two differ in kind",
        )
        .by("a"),
        refused(
            "a file and a directory of one name",
            &archive([file("a", ""), directory("a/")]),
            both,
        )
        .by("a/"),
        refused(
            "a directory and a link of one name",
            &archive([directory("a/"), link("a", "/etc")]),
            both,
        )
        .by("a"),
        refused(
            "a file that was implied to be a directory",
            &archive([file("a/b", ""), file("a", "")]),
            both,
        )
        .by("a"),
        refused(
            "an entry below a link",
            &archive([link("a", "/etc"), file("a/passwd", "evil")]),
            "it lies below `a`, which is a symlink",
        )
        .by("a/passwd"),
        refused(
            "an entry below a file",
            &archive([file("a", ""), file("a/b/c", "evil")]),
            "it lies below `a`, which is a file",
        )
        .by("a/b/c"),
        refused(
            "a link that takes the place of a directory in use",
            &archive([file("a/b", ""), link("./a", "/etc")]),
            both,
        )
        .by("./a"),
    ]
}

pub(super) fn local_headers() -> Vec<Case> {
    let odd = || file("odd", "12345");
    let described = |descriptor| odd().deflated().descriptor(descriptor);
    let hidden = || file("hidden", "seen by who reads from the front").only_local();
    let flags = "the flags of the local header differ";
    let descriptor = "the data descriptor after it gives other values";
    let follows = "an entry that the central directory does not name follows it";
    let late = |case: Case| case.by("odd").late();
    let mut cases = vec![
        late(refused(
            "no local header",
            &around(odd().in_local(Field::Signature, 0)),
            "there is no local header where the central directory says",
        )),
        late(ambiguous(
            "another name in the local header",
            &around(odd().local_name("evil")),
            "the local header names `evil`",
        )),
        late(ambiguous(
            "a longer name in the local header",
            &around(odd().local_name("../../evil")),
            "the local header names `../../evil`",
        )),
        late(refused(
            "another method in the local header",
            &around(odd().in_local(Field::Method, 8)),
            "the local header gives another compression method",
        )),
        late(ambiguous(
            "UTF-8 in the local header alone",
            &around(odd().in_local(Field::Flags, UTF8.into())),
            flags,
        )),
        late(ambiguous(
            "encryption in the local header alone",
            &around(odd().in_local(Field::Flags, ENCRYPTED.into())),
            flags,
        )),
        late(ambiguous(
            "a descriptor in the local header alone",
            &around(odd().in_local(Field::Flags, DESCRIPTOR.into())),
            flags,
        )),
        late(ambiguous(
            "another CRC in the local header",
            &around(odd().in_local(Field::Crc, 0)),
            "the local header gives another CRC-32",
        )),
        late(ambiguous(
            "another size in the local header",
            &around(odd().in_local(Field::Size, 4)),
            "the local header gives another uncompressed size",
        )),
        late(ambiguous(
            "another compressed size in the local header",
            &around(odd().in_local(Field::CompressedSize, 0)),
            "the local header gives another compressed size",
        )),
        late(ambiguous(
            "another size in the local header before a descriptor",
            &around(described(Descriptor::Signed).in_local(Field::Size, 4)),
            "the local header gives another uncompressed size",
        )),
        late(ambiguous(
            "another CRC in the descriptor",
            &around(described(Descriptor::Signed).in_descriptor(Field::Crc, 1)),
            descriptor,
        )),
        late(ambiguous(
            "another size in the descriptor",
            &around(described(Descriptor::Unsigned).in_descriptor(Field::Size, 4)),
            descriptor,
        )),
        late(ambiguous(
            "another compressed size in a long descriptor",
            &around(described(Descriptor::SignedLong).in_descriptor(Field::CompressedSize, 4)),
            descriptor,
        )),
        late(ambiguous(
            "a descriptor that is not there",
            &around(odd().flag(DESCRIPTOR)),
            descriptor,
        )),
        late(ambiguous(
            "a descriptor that nobody announced",
            &around(
                described(Descriptor::Signed)
                    .without_flag(DESCRIPTOR)
                    .in_local(Field::Crc, crc32(b"12345").into())
                    .in_local(Field::Size, 5)
                    .in_local(Field::CompressedSize, deflate(b"12345").len() as u64),
            ),
            "16 bytes that belong to no entry follow it",
        )),
        late(ambiguous(
            "bytes between two entries",
            &around(odd().gap_after("gap")),
            "3 bytes that belong to no entry follow it",
        )),
        late(ambiguous(
            "bytes between the last entry and the directory",
            &archive([odd()]).gap_before_directory("gap"),
            "3 bytes that belong to no entry follow it",
        )),
        late(ambiguous(
            "more NULs than anybody pads",
            &around(odd().gap_after(vec![0; 70_000])),
            "70000 bytes that belong to no entry follow it",
        )),
        late(ambiguous(
            "more NULs than fit in a buffer behind an empty stream",
            &archive([file("odd", "")
                .deflated()
                .raw_data("")
                .gap_after(vec![0; 3 << 20])]),
            "3145728 bytes that belong to no entry follow it",
        )),
        late(ambiguous(
            "an entry between two others that the directory does not name",
            &archive([odd(), hidden(), file("behind", "good")]),
            follows,
        )),
        late(ambiguous(
            "an entry behind all others that the directory does not name",
            &archive([odd(), hidden()]),
            follows,
        )),
        ambiguous(
            "a hidden entry behind a directory",
            &archive([directory("odd/"), hidden()]),
            follows,
        )
        .by("odd/")
        .late(),
        ambiguous(
            "a hidden entry behind the root",
            &archive([directory("./"), hidden()]),
            follows,
        )
        .by("./")
        .late(),
        ambiguous(
            "a hidden entry behind a link",
            &archive([link("odd", "x"), hidden()]),
            follows,
        )
        .by("odd")
        .late(),
        ambiguous(
            "a hidden entry between two equal ones",
            &archive([file("odd", "x"), hidden(), file("odd", "x")]),
            follows,
        )
        .by("odd")
        .late(),
        ambiguous(
            "the first of two equal entries with another name in its local header",
            &archive([file("odd", "x").local_name("evil"), file("odd", "x")]),
            "the local header names `evil`",
        )
        .by("odd")
        .late(),
        ambiguous(
            "another name in the local header of a link",
            &around(link("odd", "target").local_name("evil")),
            "the local header names `evil`",
        )
        .by("odd")
        .late(),
        refused(
            "a root without local header",
            &around(directory("./").in_local(Field::Signature, 0)),
            "there is no local header where the central directory says",
        )
        .by("./")
        .late(),
    ];
    for (name, field) in [
        ("a longer local extra field", [0; 40]),
        ("the same, not NUL", [1; 40]),
    ] {
        // The directory says where the next entry begins, the local header moves the data: it cannot fit any more.
        let bad = file("odd", field).in_local(Field::ExtraLength, 12);
        let sentence = if field[0] == 0 {
            "its data reaches beyond the entries"
        } else {
            "its extra fields are damaged"
        };
        cases.push(late(refused(name, &around(bad), sentence)));
    }
    cases
}

pub(super) fn data() -> Vec<Case> {
    let content = b"content ".repeat(40);
    let deflated = || file("odd", &content).deflated();
    let stream = deflate(&content);
    let late = |case: Case| case.by("odd").late();
    let other_size = "it inflates to another size than the";
    vec![
        late(refused(
            "bytes that are no stream",
            &around(deflated().raw_data([0xff; 30])),
            "it does not inflate",
        )),
        late(refused(
            "a stream that is cut off",
            &around(deflated().raw_data(&stream[..stream.len() - 3])),
            "it does not inflate",
        )),
        late(refused(
            "no stream at all",
            &around(deflated().raw_data("")),
            "it does not inflate",
        )),
        late(refused(
            "a size that is too small",
            &around(deflated().in_both(Field::Size, 319)),
            other_size,
        )),
        late(refused(
            "a size that is too large",
            &around(deflated().in_both(Field::Size, 321)),
            other_size,
        )),
        late(refused(
            "a size of nothing",
            &around(deflated().in_both(Field::Size, 0)),
            other_size,
        )),
        late(refused(
            "bytes behind the end of a stream",
            &around(deflated().raw_data([&stream[..], b"\0"].concat())),
            "its deflate stream ends before its data does",
        )),
        late(refused(
            "two streams",
            &around(file("odd", "").deflated().raw_data([3, 0, 3, 0])),
            "its deflate stream ends before its data does",
        )),
        late(refused(
            "a wrong CRC of stored bytes",
            &around(file("odd", "12345").in_both(Field::Crc, 0x0bad_cafe)),
            "its data is damaged: the CRC-32 is cbf53a1c, not 0badcafe",
        )),
        late(refused(
            "a wrong CRC of deflated bytes",
            &around(file("odd", "12345").deflated().in_both(Field::Crc, 1)),
            "its data is damaged: the CRC-32 is cbf53a1c, not 00000001",
        )),
        late(refused(
            "a CRC of zero",
            &around(file("odd", "12345").in_both(Field::Crc, 0)),
            "its data is damaged: the CRC-32 is cbf53a1c, not 00000000",
        )),
        late(refused(
            "a CRC of nothing",
            &around(file("odd", "").in_both(Field::Crc, 7)),
            "its data is damaged: the CRC-32 is 00000000, not 00000007",
        )),
        refused(
            "a wrong CRC of a link",
            &around(link("odd", "target").in_both(Field::Crc, 1)),
            "its data is damaged: the CRC-32 is",
        )
        .by("odd"),
    ]
}

pub(super) fn odd_but_valid() -> Vec<Case> {
    let mut cases = vec![
        accepted("an empty archive", &archive([])),
        accepted(
            "an empty archive with a comment",
            &archive([]).comment("empty"),
        ),
        accepted(
            "a comment",
            &archive(good()).comment("a comment, PK and all"),
        ),
        accepted(
            "NULs behind the end record",
            &archive(good()).suffix([0; 10_240]),
        ),
        accepted(
            "NULs behind the comment",
            &archive(good()).comment("x").suffix([0; 3]),
        ),
        accepted(
            "NULs between entries",
            &around(file("a", "x").gap_after([0; 9])),
        ),
        accepted(
            "NULs before the directory",
            &archive(good()).gap_before_directory([0; 4096]),
        ),
        accepted(
            "a directory in another order",
            &archive(good()).directory_reversed(),
        ),
        accepted(
            "dots and empty components",
            &archive([directory("./"), directory("./d/"), file("./d//./a", "good")]),
        ),
        accepted(
            "a directory whose name ends in a dot",
            &archive([file("d/./a", "good")]),
        ),
        accepted(
            "a name that is not UTF-8",
            &around(file(b"caf\xe9", "good")),
        ),
        accepted("a name in UTF-8", &around(file("caf\u{e9}", "good"))),
        accepted(
            "UTF-8 without its bit",
            &around(file("caf\u{e9}", "good").without_flag(UTF8)),
        ),
        accepted("a backslash", &around(file("back\\slash", "good"))).excusing("bsdtar", BACKSLASH),
        accepted(
            "a backslash of Windows",
            &around(file("a\\b", "good").host(FAT).without_mode()),
        )
        .excusing("bsdtar", BACKSLASH),
        accepted("a name of dots", &around(file("..a/.../b..", "good"))),
        accepted(
            "128 levels",
            &around(file(vec!["d"; 128].join("/"), "good")),
        ),
        accepted(
            "a component of 255 bytes",
            &around(file([b'n'; 255], "good")),
        ),
        accepted(
            "a link with a target of 4,095 bytes",
            &around(link("odd", "t".repeat(4095))),
        ),
        accepted(
            "a link out of the root",
            &around(link("odd", "../../etc/passwd")),
        ),
        accepted(
            "an absolute link",
            &around(link("odd", "/var/task/x").deflated()),
        ),
        accepted("no mode", &around(file("odd", "good").without_mode())),
        accepted(
            "MS-DOS",
            &around(file("odd", "good").host(FAT).without_mode()),
        ),
        accepted(
            "a mode of Windows",
            &around(file("odd", "good").host(NTFS).mode(0o755)),
        ),
        accepted("macOS", &around(file("odd", "good").host(MACOS))),
        accepted("a set-id bit", &around(file("odd", "good").mode(0o6755))),
        accepted(
            "an impossible time",
            &around(file("odd", "good").dos((0, 0xffff))),
        ),
        accepted(
            "a file whose name ends in a dot component",
            &around(file("odd/.", "good")),
        )
        .excusing("unzip", "it makes an underscore of the dot"),
        accepted(
            "a volume label of MS-DOS",
            &around(
                file("odd", "good")
                    .host(FAT)
                    .without_mode()
                    .in_central(Field::ExternalAttributes, 8),
            ),
        )
        .excusing(
            "unzip",
            "it takes it for the label of a disk and leaves it out",
        ),
        accepted("a link of MS-DOS", &around(link("odd", "before").host(FAT))),
        accepted(
            "two timestamps",
            &around(
                file("odd", "good")
                    .extended(1_000_000_000)
                    .extra(0x5455, [1, 0, 0, 0, 9]),
            ),
        ),
        accepted("an empty stored file", &around(file("odd", ""))),
        accepted(
            "an empty file, deflated to two bytes",
            &around(file("odd", "").deflated()),
        ),
        accepted(
            "an empty file, deflated to nothing",
            &around(file("odd", "").deflated().raw_data("")),
        ),
        accepted(
            "an empty file, deflated to an empty stored block",
            &around(file("odd", "").deflated().raw_data([1, 0, 0, 0xff, 0xff])),
        ),
        accepted(
            "a directory, deflated to two bytes",
            &around(directory("odd/").deflated()),
        ),
        accepted(
            "a directory of MS-DOS",
            &around(directory("odd/").host(FAT).without_mode()),
        ),
        accepted("a directory in UTF-8", &around(directory("caf\u{e9}/"))),
        accepted(
            "a comment of an entry",
            &around(file("odd", "").comment("a comment")),
        ),
        accepted(
            "a byte of zipalign",
            &around(file("odd", "x").local_extra([0])),
        ),
        accepted(
            "three bytes of zipalign",
            &around(file("odd", "x").local_extra([0; 3])),
        ),
        accepted(
            "a page of zipalign",
            &around(file("odd", "x").local_extra(vec![0; 4000])),
        ),
        accepted(
            "zipalign behind a timestamp",
            &around(file("odd", "x").extended(1_000_000_000).local_extra([0; 2])),
        ),
        accepted(
            "zeros in the central extra fields",
            &around(file("odd", "x").central_extra([0; 5])),
        ),
        accepted(
            "an unknown extra field",
            &around(file("odd", "x").extra(0xcafe, "ignored")),
        ),
        accepted(
            "exactly 65,535 entries, all of one directory, without zip64",
            &archive((0..0xffff).map(|_| directory("d/"))),
        ),
        accepted(
            "sizes in the local header and in the descriptor",
            &around(
                file("odd", "12345")
                    .deflated()
                    .descriptor(Descriptor::Signed)
                    .in_local(Field::Crc, crc32(b"12345").into())
                    .in_local(Field::Size, 5)
                    .in_local(Field::CompressedSize, deflate(b"12345").len() as u64),
            ),
        ),
        accepted(
            "the compressed size alone in the local header",
            &around(
                file("odd", "12345")
                    .deflated()
                    .descriptor(Descriptor::Signed)
                    .in_local(Field::CompressedSize, deflate(b"12345").len() as u64),
            ),
        ),
        accepted(
            "a stream to a pipe, as Info-ZIP writes it",
            &archive([
                directory("d/").in_both(Field::Needed, 10),
                file("d/a", "good")
                    .deflated()
                    .descriptor(Descriptor::Signed)
                    .extended(1_000_000_000)
                    .extra(0x7875, [1, 4, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
                file("-", "piped")
                    .zip64()
                    .deflated()
                    .descriptor(Descriptor::SignedLong),
            ]),
        ),
    ];
    for (name, descriptor) in [
        ("a descriptor", Descriptor::Signed),
        ("a descriptor without signature", Descriptor::Unsigned),
        ("a long descriptor", Descriptor::SignedLong),
        (
            "a long descriptor without signature",
            Descriptor::UnsignedLong,
        ),
    ] {
        let entries = [
            file("deflated", "some bytes").deflated(),
            file("empty", "").deflated(),
            file("stored", "some bytes"),
            file("nothing", ""),
        ];
        let entries = entries.map(|entry| entry.descriptor(descriptor));
        cases.push(accepted(name, &archive(entries)));
    }
    cases
}
