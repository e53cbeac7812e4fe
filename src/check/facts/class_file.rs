//! Java's classes: for which Java they are, alone and in a jar.

use std::collections::BTreeMap;

use zlib_rs::Inflate;

use crate::archive::ArchiveInMemory;

/// The classes of a jar that are for one Java.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
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
    let jar = ArchiveInMemory::open(bytes)?;
    let mut groups: BTreeMap<u16, (usize, &[u8])> = BTreeMap::new();
    let mut inflate = Inflate::new(false, 15);
    for (entry, index) in jar.archive.entries().iter().zip(0..) {
        let name = jar.archive.name(entry);
        if !is_class_of_every_java(name) {
            continue;
        }
        let mut head = [0; HEADER_BYTES];
        let count = jar.read(index, &mut head, &mut inflate);
        let read = count.and_then(|count| head.get(..count));
        if let Some(major) = read.and_then(major) {
            groups.entry(major).or_insert((0, name)).0 += 1;
        }
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
