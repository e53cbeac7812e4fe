//! Java's classes: for which Java they are, alone and in a jar.

use std::collections::BTreeMap;

use zlib_rs::{Inflate, InflateFlush};

use crate::archive::{Archive, DirectoryLocation, Entry, Method, Strictness, TAIL_BYTES};

/// The classes of a jar that are for one Java.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClassGroup {
    /// Their class file version: 52 is Java 8.
    pub major: u16,
    /// How many there are.
    pub count: usize,
    /// The first of them.
    pub example: Vec<u8>,
}

/// What a jar says of its classes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Jar {
    /// Its classes that every Java loads, the oldest version first.
    pub classes: Vec<ClassGroup>,
}

/// A class file begins with a magic number and its version (*Java Virtual Machine Specification* 4.1).
const HEADER_BYTES: usize = 8;

/// The class file version of a class.
pub(super) fn major(bytes: &[u8]) -> Option<u16> {
    match bytes.get(..HEADER_BYTES)? {
        // Versions begin at 45; less is a Mach-O file of that many architectures.
        [0xca, 0xfe, 0xba, 0xbe, _, _, high, low] => {
            Some(u16::from_be_bytes([*high, *low])).filter(|major| *major >= 45)
        }
        _ => None,
    }
}

/// Reads the first bytes of every class in a jar; `None` if it is no archive that can be read.
pub(super) fn jar(bytes: &[u8]) -> Option<Jar> {
    let tail = bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..)?;
    let location = DirectoryLocation::find(tail, bytes.len() as u64, Strictness::Lenient).ok()?;
    let start = usize::try_from(location.offset).ok()?;
    let end = start.checked_add(usize::try_from(location.bytes).ok()?)?;
    let directory = bytes.get(start..end)?.to_vec();
    let archive = Archive::judge(directory, location, Strictness::Lenient).ok()?;
    let mut groups: BTreeMap<u16, (usize, &[u8])> = BTreeMap::new();
    let mut inflate = Inflate::new(false, 15);
    for (entry, index) in archive.entries().iter().zip(0..) {
        let name = archive.name(entry);
        if !is_class_of_every_java(name) {
            continue;
        }
        let Some(major) = head(bytes, &archive, index, entry, &mut inflate)
            .as_ref()
            .and_then(|head| major(head))
        else {
            continue;
        };
        groups.entry(major).or_insert((0, name)).0 += 1;
    }
    let group = |(major, (count, example)): (u16, (usize, &[u8]))| ClassGroup {
        major,
        count,
        example: example.to_vec(),
    };
    Some(Jar {
        classes: groups.into_iter().map(group).collect(),
    })
}

/// Whether a class is one that an old Java comes across: not what a jar keeps for newer ones in `META-INF/versions` (JEP 238),
/// and not a description of a module, which no Java before 9 reads.
fn is_class_of_every_java(name: &[u8]) -> bool {
    let is_description = name == b"module-info.class" || name.ends_with(b"/module-info.class");
    name.ends_with(b".class") && !is_description && !name.starts_with(b"META-INF/")
}

/// The first bytes of an entry.
fn head(
    jar: &[u8],
    archive: &Archive,
    index: u32,
    entry: &Entry,
    inflate: &mut Inflate,
) -> Option<[u8; HEADER_BYTES]> {
    let local = jar.get(usize::try_from(entry.header_offset).ok()?..)?;
    let start = archive.judge_local(index, local).ok()?.data_start;
    let data = local.get(start..)?;
    let data = data.get(..usize::try_from(entry.compressed_bytes).ok()?)?;
    let mut head = [0; HEADER_BYTES];
    match entry.method {
        Method::Stored => head.copy_from_slice(data.get(..HEADER_BYTES)?),
        Method::Deflated => {
            inflate.reset(false);
            // It stops where there is no more room, so nothing of the rest is inflated.
            inflate
                .decompress(data, &mut head, InflateFlush::NoFlush)
                .ok()?;
            if inflate.total_out() < HEADER_BYTES as u64 {
                return None;
            }
        }
    }
    Some(head)
}
