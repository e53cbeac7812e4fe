//! The runtimes that the layer operations know, which are more than those that functions can have.

/// What `ListLayers` says it takes, in the order in which the service lists them (recorded 2026-01-12).
pub(super) const LISTED: &str = "[ruby3.5, ruby2.6, dotnetcore1.0, python3.7, nodejs8.10, nasa, ruby2.7, python2.7-greengrass, dotnetcore2.0, python3.8, java21, dotnet6, dotnetcore2.1, python3.9, java11, nodejs6.10, provided, dotnetcore3.1, dotnet8, java25, java17, nodejs, nodejs4.3, java8.al2, go1.x, dotnet10, nodejs20.x, go1.9, byol, nodejs10.x, provided.al2023, nodejs22.x, python3.10, java8, nodejs12.x, python3.11, nodejs24.x, nodejs8.x, python3.12, nodejs14.x, nodejs8.9, nodejs26.x, python3.13, python3.14, nodejs16.x, python3.15, provided.al2, nodejs4.3-edge, nodejs18.x, ruby3.2, python3.4, ruby3.3, ruby3.4, ruby2.5, python3.6, python2.7]";

/// What `PublishLayerVersion` says it takes. It takes more: `nodejs14.x`, `go1.x` and `provided` were all accepted on the same
/// day.
pub(super) const PUBLISHED: &str = "[nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2]";

/// What the service's model (botocore 1.44.5) has besides.
const MODELLED: [&str; 5] = [
    "custom",
    "java11.al2023",
    "java17.al2023",
    "java8.al2023",
    "ruby4.0",
];

/// Whether a layer can be said to be for this runtime.
pub(super) fn is_known(runtime: &str) -> bool {
    MODELLED.contains(&runtime)
        || LISTED
            .trim_matches(['[', ']'])
            .split(", ")
            .any(|known| known == runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_of_either_list_is_known() {
        for list in [LISTED, PUBLISHED] {
            for runtime in list.trim_matches(['[', ']']).split(", ") {
                assert!(is_known(runtime), "{runtime}");
            }
        }
        assert_eq!(LISTED.split(", ").count(), 56);
        for runtime in ["ruby4.0", "nodejs14.x", "go1.x", "provided"] {
            assert!(is_known(runtime), "{runtime}");
        }
        for runtime in ["", "python", "python3.12 ", "runtimedoesnotexist"] {
            assert!(!is_known(runtime), "{runtime}");
        }
    }
}
