//! Python's compiled modules: where they lie, and whether they can still be valid in the cloud.
//!
//! A `.pyc` that is based on a timestamp holds the time and size of its source, and counts only as long as the source has that
//! very time (PEP 552); whoever gives all files one time makes every one of them stale. Lambda's `/opt` cannot be written, so that
//! a stale one is compiled again at each cold start.

/// Bytes of a `.pyc` before the code: magic number, flags, and eight bytes that the flags give a meaning.
pub const HEAD_BYTES: usize = 16;

/// The directory for the compiled modules of the directory that it lies in (PEP 3147).
pub const CACHE_DIRECTORY: &[u8] = b"__pycache__";

/// Whether a `.pyc` that begins so is valid by the time of its source. What is too short is none.
pub fn is_timestamp_based(head: &[u8]) -> bool {
    // The magic number ends in a line end, so that a copy as text is noticed.
    match head {
        [_, _, b'\r', b'\n', flags @ ..] if head.len() >= HEAD_BYTES => {
            flags.starts_with(&[0, 0, 0, 0])
        }
        _ => false,
    }
}

/// Where Python looks for the source of a `.pyc`, and whether that is found in a cache directory: without its source such a one
/// is never looked at, while one that lies beside other modules counts as a module itself. `None` for another name.
pub fn source_of(name: &[u8]) -> Option<(Vec<u8>, bool)> {
    let stem = name.strip_suffix(b".pyc")?;
    let (directory, file) = split(stem);
    let is_cached = directory == CACHE_DIRECTORY || directory.ends_with(b"/__pycache__");
    if !is_cached {
        return Some(([stem, b".py"].concat(), false));
    }
    let (above, _) = split(directory);
    // `module.cpython-313.opt-1`, and a module's name has no dot.
    let module = file.split(|&byte| byte == b'.').next().unwrap_or_default();
    Some((join(above, &[module, b".py"].concat()), true))
}

/// Where Python looks for the `.pyc` of a source, `tag` being its `sys.implementation.cache_tag`. `None` for another name.
pub fn cached_name(source: &[u8], tag: &str) -> Option<Vec<u8>> {
    let (directory, file) = split(source.strip_suffix(b".py")?);
    if file.is_empty() {
        return None;
    }
    let file = [file, b".", tag.as_bytes(), b".pyc"].concat();
    Some(join(&join(directory, CACHE_DIRECTORY), &file))
}

/// Directory and file; an empty directory for a name without one.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => {
            let (directory, rest) = name.split_at(slash);
            (directory, rest.get(1..).unwrap_or_default())
        }
        None => (&[], name),
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        name.to_vec()
    } else {
        [directory, b"/", name].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sources_and_compiled_modules_belong_together() {
        for (source, cached) in [
            ("a.py", "__pycache__/a.cpython-313.pyc"),
            ("p/q/a.py", "p/q/__pycache__/a.cpython-313.pyc"),
        ] {
            let name = cached_name(source.as_bytes(), "cpython-313");
            assert_eq!(name.as_deref(), Some(cached.as_bytes()));
            let found = source_of(cached.as_bytes());
            assert_eq!(found, Some((source.as_bytes().to_vec(), true)));
        }
        let beside = source_of(b"p/a.pyc");
        assert_eq!(beside, Some((b"p/a.py".to_vec(), false)));
        let optimised = source_of(b"p/__pycache__/a.cpython-39.opt-1.pyc");
        assert_eq!(optimised, Some((b"p/a.py".to_vec(), true)));
        assert_eq!(source_of(b"p/a.py"), None);
        assert_eq!(cached_name(b"p/.py", "t"), None);
    }

    #[test]
    fn only_a_whole_head_without_flags_is_based_on_a_timestamp() {
        let timestamp = b"\xf3\x0d\x0d\x0a\0\0\0\0timesize";
        let hash = b"\xf3\x0d\x0d\x0a\x01\0\0\0hashhash";
        assert!(is_timestamp_based(timestamp));
        assert!(!is_timestamp_based(hash));
        assert!(!is_timestamp_based(&timestamp[..15]));
        assert!(!is_timestamp_based(b"no compiled module"));
    }
}
