//! What the integration tests are written with, here too.

#[path = "../../it/support/tree.rs"]
pub(crate) mod tree;
#[path = "../../it/support/zip.rs"]
pub(crate) mod zip;

pub(crate) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
