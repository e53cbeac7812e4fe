//! What a user should know of layers, and of their merge, before it is used.

use slashopt::host::extract::build::BuiltRoot;
use slashopt::host::read::stack::LoadedStack;
use slashopt::path::Escaped;
use slashopt::plan;
use slashopt::summary::{Paths, Summary};

/// What was waived, for a warning.
pub(crate) fn waived(refusal: &slashopt::archive::Refusal) -> String {
    let entry = refusal.entry.as_ref();
    waived_rule(entry.map(|entry| entry.name.as_slice()), &refusal.rule)
}

/// A rule that was waived, and by which entry it was broken.
pub(crate) fn waived_rule(entry: Option<&[u8]>, rule: &impl std::fmt::Display) -> String {
    match entry {
        Some(entry) => format!("entry `{}`: {rule} (accepted by --lenient)", Escaped(entry)),
        None => format!("{rule} (accepted by --lenient)"),
    }
}

/// What a user should know of a merged tree before it is used.
pub(crate) fn tree_warnings(summary: &Summary, on_collision: plan::OnCollision) -> Vec<String> {
    let mut warnings = Vec::new();
    if on_collision == plan::OnCollision::Warn && summary.overridden.count > 0 {
        warnings.push(overridden(summary));
    }
    for (paths, one, several) in [
        (
            &summary.unreadable,
            "file is unreadable to Lambda's user",
            "files are unreadable to Lambda's user",
        ),
        (
            &summary.leaving,
            "link leads out of /opt",
            "links lead out of /opt",
        ),
    ] {
        let Paths { count, examples } = paths;
        if *count > 0 {
            let what = if *count == 1 { one } else { several };
            warnings.push(format!(
                "{count} {what}: {}",
                plan::listed(examples, *count)
            ));
        }
    }
    warnings
}

/// One line on what was overridden and matters. Conflicts of kind are named: nobody expects them.
pub(super) fn overridden(summary: &Summary) -> String {
    let counts = summary.collisions;
    let kinds = [
        (counts.content, "with other content"),
        (counts.mode, "with another mode"),
        (counts.r#type, "by another kind of object"),
    ];
    let parts: Vec<String> = kinds
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, how)| format!("{count} {how}"))
        .collect();
    let Paths { count, examples } = &summary.conflicts;
    let named = if *count == 0 {
        String::new()
    } else {
        format!(": {}", plan::listed(examples, *count))
    };
    format!("later layers override paths: {}{named}", parts.join(", "))
}

/// What a user should know of a root that was built, or would be.
pub(crate) fn root_warnings(
    built: &BuiltRoot,
    loaded: &LoadedStack,
    on_collision: plan::OnCollision,
) -> Vec<String> {
    let mut warnings = tree_warnings(&built.summary, on_collision);
    let layers = loaded.stack.len();
    let waived = built
        .waived
        .iter()
        .map(|(layer, refusal)| format!("layer {layer} of {layers}: {}", waived(refusal)));
    warnings.extend(waived);
    warnings.extend(built.left_behind.iter().cloned());
    warnings
}
