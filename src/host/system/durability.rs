//! Whether what is written must survive a power cut.

/// Whether what is written must survive a power cut.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// The kernel writes it to the disk when it likes; a power cut before that loses it.
    #[default]
    Fast,
    /// It is on the disk before it counts as written.
    Survives,
}
