//! Every recorded refusal, in its words.

use super::*;
use crate::registry::call::ContentFields;

const BY_ARN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)";
const MINE: &str = "arn:aws:lambda:us-east-1:123456789012:layer:my-layer";
const THEIRS: &str = "arn:aws:lambda:us-east-1:999999999999:layer:my-layer";

fn caller() -> Caller {
    Caller {
        account: "123456789012".parse().unwrap_or_default(),
        region: super::super::Region::default(),
        organization: None,
    }
}

fn words(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|&part| part.to_owned()).collect()
}

/// What a call over the wire is answered, the body left out: `GET /2018-10-31/layers/n/versions`.
#[track_caller]
fn ask(
    method: &str,
    path: &str,
    query: &[(&str, &str)],
    fields: Fields,
) -> Result<Request, ApiError> {
    let segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
    let query: Vec<_> = query
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let call = Call::route(method, &segments, &query);
    let call = call.unwrap_or_else(|| panic!("{method} {path} is no operation"));
    Request::judge(call, fields, &caller())
}

#[track_caller]
fn refused(outcome: Result<Request, ApiError>) -> (u16, &'static str, String) {
    match outcome {
        Ok(request) => panic!("it was accepted: {request:?}"),
        Err(error) => (error.code.status(), error.code.name(), error.message),
    }
}

fn get(name: &str, version: &str) -> Result<Request, ApiError> {
    let path = format!("/2018-10-31/layers/{name}/versions/{version}");
    ask("GET", &path, &[], Fields::None)
}

fn publish(change: impl FnOnce(&mut PublishFields)) -> Result<Request, ApiError> {
    let mut fields = PublishFields {
        content: Some(ContentFields {
            has_zip_file: true,
            ..ContentFields::default()
        }),
        ..PublishFields::default()
    };
    change(&mut fields);
    let path = "/2018-10-31/layers/my-layer/versions";
    ask("POST", path, &[], Fields::Publish(fields))
}

fn permit(change: impl FnOnce(&mut PermissionFields)) -> Result<Request, ApiError> {
    let mut fields = PermissionFields {
        sid: Some("s1".to_owned()),
        action: Some(ACTION.to_owned()),
        principal: Some("*".to_owned()),
        organization: None,
    };
    change(&mut fields);
    let path = "/2018-10-31/layers/my-layer/versions/1/policy";
    ask("POST", path, &[], Fields::Permission(fields))
}

fn invalid(message: &str) -> (u16, &'static str, String) {
    (400, "ValidationException", message.to_owned())
}

#[test]
fn find_tells_a_version_from_a_list() {
    let segments = words(&["2018-10-31", "layers"]);
    let find = ("find".to_owned(), "LayerVersion".to_owned());
    assert!(matches!(
        Call::route("GET", &segments, &[find]),
        Some(Call::GetByArn { arn: None })
    ));
    assert!(matches!(
        Call::route("GET", &segments, &[]),
        Some(Call::ListLayers(_))
    ));
}

#[test]
fn what_is_no_operation_on_layers_is_none() {
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/2015-03-31/functions"),
        ("GET", "/2015-03-31/layers"),
        ("PUT", "/2018-10-31/layers"),
        ("DELETE", "/2018-10-31/layers/n/versions"),
        ("GET", "/2018-10-31/layers/n"),
        ("GET", "/2018-10-31/layers/n/versions/1/policy/s"),
    ] {
        let segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        assert_eq!(Call::route(method, &segments, &[]), None, "{method} {path}");
    }
}

#[test]
fn versions_begin_at_one() {
    let below = (
        400,
        "InvalidParameterValueException",
        "Layer Version Cannot be less than 1".to_owned(),
    );
    for version in ["0", "-1"] {
        assert_eq!(refused(get("my-layer", version)), below);
        let path = format!("/2018-10-31/layers/my-layer/versions/{version}");
        assert_eq!(refused(ask("DELETE", &path, &[], Fields::None)), below);
    }
}

#[test]
fn a_layer_is_named_by_its_name_or_its_arn() {
    let expected = Ok(Request::Get(VersionArn {
        layer: MINE.parse().unwrap_or_else(|error| panic!("{error}")),
        version: 3,
    }));
    assert_eq!(get("my-layer", "3"), expected);
    assert_eq!(get(MINE, "3"), expected);
    let by_arn = format!("{MINE}:3");
    let query = [("find", "LayerVersion"), ("Arn", by_arn.as_str())];
    assert_eq!(
        ask("GET", "/2018-10-31/layers", &query, Fields::None),
        expected
    );
}

#[test]
fn the_arn_of_a_version_is_no_name_of_a_layer() {
    for bad in [&format!("{MINE}:1"), "a.b", "my layer"] {
        assert_eq!(
            refused(get(bad, "1")),
            invalid(&format!(
                r"1 validation error detected: Value '{bad}' at 'layerName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{{2}}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{{1}}:\d{{12}}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+"
            ))
        );
    }
}

#[test]
fn the_arn_of_a_layer_is_not_that_of_a_version() {
    let query = [("find", "LayerVersion"), ("Arn", MINE)];
    assert_eq!(
        refused(ask("GET", "/2018-10-31/layers", &query, Fields::None)),
        invalid(&format!(
            "1 validation error detected: Value '{MINE}' at 'arn' failed to satisfy constraint: Member must satisfy regular expression pattern: {BY_ARN}"
        ))
    );
}

#[test]
fn the_services_own_layers_are_nowhere() {
    let query = [
        ("find", "LayerVersion"),
        ("Arn", "arn:aws:lambda:::awslayer:AmazonLinux1803"),
    ];
    assert_eq!(
        ask("GET", "/2018-10-31/layers", &query, Fields::None),
        Ok(Request::GetOfTheService)
    );
}

#[test]
fn another_region_has_other_layers() {
    let elsewhere = "arn:aws:lambda:eu-west-1:123456789012:layer:my-layer";
    assert_eq!(
        refused(get(elsewhere, "1")),
        (
            400,
            "InvalidParameterValueException",
            format!("Invalid Layer name: {elsewhere}")
        )
    );
}

#[test]
fn strangers_may_ask_for_a_version_and_for_nothing_else() {
    assert!(get(THEIRS, "1").is_ok());
    for (method, rest, action, resource) in [
        ("GET", "", "ListLayerVersions", THEIRS.to_owned()),
        ("DELETE", "/1", "DeleteLayerVersion", format!("{THEIRS}:1")),
        (
            "GET",
            "/1/policy",
            "GetLayerVersionPolicy",
            format!("{THEIRS}:1"),
        ),
        (
            "DELETE",
            "/1/policy/s1",
            "RemoveLayerVersionPermission",
            format!("{THEIRS}:1"),
        ),
    ] {
        let path = format!("/2018-10-31/layers/{THEIRS}/versions{rest}");
        assert_eq!(
            refused(ask(method, &path, &[], Fields::None)),
            (
                403,
                "AccessDeniedException",
                format!(
                    "User: arn:aws:iam::123456789012:root is not authorized to perform: lambda:{action} on resource: {resource} because no resource-based policy allows the lambda:{action} action"
                )
            )
        );
    }
}

#[test]
fn listings_are_filtered_by_what_there_is() {
    let list = |query: &[(&str, &str)]| ask("GET", "/2018-10-31/layers", query, Fields::None);
    assert_eq!(
        refused(list(&[("CompatibleRuntime", "runtimedoesnotexist")])),
        invalid(&format!(
            "1 validation error detected: Value 'runtimedoesnotexist' at 'compatibleRuntime' failed to satisfy constraint: Member must satisfy enum value set: {}",
            runtimes::LISTED
        ))
    );
    assert_eq!(
        refused(list(&[("CompatibleArchitecture", "archdoesnotexist")])),
        invalid(
            "1 validation error detected: Value 'archdoesnotexist' at 'compatibleArchitecture' failed to satisfy constraint: Member must satisfy enum value set: [x86_64, arm64]"
        )
    );
    assert!(
        list(&[
            ("CompatibleRuntime", "nodejs14.x"),
            ("CompatibleArchitecture", "arm64")
        ])
        .is_ok()
    );
}

#[test]
fn pages_have_one_to_fifty_items() {
    let list = |items: &str| {
        let query = [("MaxItems", items)];
        ask("GET", "/2018-10-31/layers/n/versions", &query, Fields::None)
    };
    for (items, bound) in [
        ("51", "less than or equal to 50"),
        ("0", "greater than or equal to 1"),
        ("-7", "greater than or equal to 1"),
    ] {
        assert_eq!(
            refused(list(items)),
            invalid(&format!(
                "1 validation error detected: Value '{items}' at 'maxItems' failed to satisfy constraint: Member must have value {bound}"
            ))
        );
    }
    assert!(matches!(list("50"), Ok(Request::ListVersions(_, listing)) if listing.items == 50));
    assert!(matches!(
        ask("GET", "/2018-10-31/layers", &[], Fields::None),
        Ok(Request::ListLayers(listing)) if listing.items == 50
    ));
    let query = [("Marker", "m=/")];
    let marker = ask("GET", "/2018-10-31/layers", &query, Fields::None);
    assert_eq!(refused(marker).0, 400);
}

#[test]
fn unknown_runtimes_and_architectures_are_told_together() {
    let outcome = publish(|fields| {
        fields.compatible_runtimes = Some(words(&["invalidruntime"]));
        fields.compatible_architectures = Some(words(&["invalidarch"]));
    });
    assert_eq!(
        refused(outcome),
        invalid(&format!(
            "2 validation errors detected: Value '[invalidruntime]' at 'compatibleRuntimes' failed to satisfy constraint: Member must satisfy enum value set: {}; Value '[invalidarch]' at 'compatibleArchitectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
            runtimes::PUBLISHED
        ))
    );
    let partly = publish(|fields| {
        fields.compatible_architectures = Some(words(&["x86_64", "invalidarch"]));
    });
    assert!(refused(partly).2.contains("Value '[x86_64, invalidarch]'"));
}

#[test]
fn publishing_takes_more_runtimes_than_it_says() {
    for runtime in [
        "nodejs14.x",
        "nodejs12.x",
        "python3.7",
        "java8",
        "dotnetcore3.1",
        "go1.x",
        "ruby2.7",
        "provided",
        "ruby4.0",
    ] {
        let outcome = publish(|fields| fields.compatible_runtimes = Some(words(&[runtime])));
        assert!(outcome.is_ok(), "{runtime}: {outcome:?}");
    }
}

#[test]
fn a_licence_is_one_line() {
    let outcome = publish(|fields| fields.license_info = Some("MIT License\nfree".to_owned()));
    assert_eq!(
        refused(outcome),
        invalid(
            "1 validation error detected: Value 'MIT License\nfree' at 'licenseInfo' failed to satisfy constraint: Member must satisfy regular expression pattern: .*"
        )
    );
}

#[test]
fn long_things_are_too_long() {
    let description = publish(|fields| fields.description = Some("d".repeat(257)));
    assert!(
        refused(description)
            .2
            .ends_with("at 'description' failed to satisfy constraint: Member must have length less than or equal to 256")
    );
    assert!(publish(|fields| fields.description = Some("\u{e9}".repeat(256))).is_ok());
    let license = publish(|fields| fields.license_info = Some("l".repeat(100_000)));
    let (_, _, message) = refused(license);
    assert!(message.contains("lll...' at 'licenseInfo'") && message.len() < 2000);
    let many = publish(|fields| fields.compatible_runtimes = Some(vec!["java21".to_owned(); 16]));
    assert!(
        refused(many)
            .2
            .ends_with("Member must have length less than or equal to 15")
    );
    let name = refused(get(&"n".repeat(141), "1"));
    assert!(name.2.ends_with("at 'layerName' failed to satisfy constraint: Member must have length less than or equal to 140"));
}

#[test]
fn content_is_an_upload_or_an_object() {
    let object = |bucket: &str, key: &str| ContentFields {
        bucket: Some(bucket.to_owned()),
        key: Some(key.to_owned()),
        ..ContentFields::default()
    };
    let accepted = publish(|fields| fields.content = Some(object("bkt", "k")));
    assert!(matches!(
        accepted,
        Ok(Request::Publish(Publish {
            content: ArchiveSource::Object { .. },
            ..
        }))
    ));
    assert!(publish(|fields| fields.content = Some(object("b", "k"))).is_err());
    assert!(publish(|fields| fields.content = Some(object("bkt.", "k"))).is_err());
    assert_eq!(
        refused(publish(|fields| fields.content = None)),
        invalid(
            "1 validation error detected: Value null at 'content' failed to satisfy constraint: Member must not be null"
        )
    );
    let nothing = publish(|fields| fields.content = Some(ContentFields::default()));
    assert_eq!(refused(nothing).1, "InvalidParameterValueException");
}

#[test]
fn only_getting_can_be_allowed() {
    for action in ["*", "lambda:ListLayerVersions"] {
        let outcome = permit(|fields| fields.action = Some(action.to_owned()));
        assert_eq!(
            refused(outcome),
            invalid(&format!(
                "1 validation error detected: Value '{action}' at 'action' failed to satisfy constraint: Member must satisfy regular expression pattern: lambda:GetLayerVersion"
            ))
        );
    }
}

#[test]
fn permissions_name_whom_the_pattern_allows() {
    for principal in ["", "someone", "arn:aws:iam::123456789012:user/x"] {
        let outcome = permit(|fields| fields.principal = Some(principal.to_owned()));
        assert!(refused(outcome).2.contains(&format!(
            r"Value '{principal}' at 'principal' failed to satisfy constraint: Member must satisfy regular expression pattern: \d{{12}}|\*|arn:(aws[a-zA-Z-]*):iam::\d{{12}}:root"
        )));
    }
    for (organization, is_one) in [
        ("o-t194hfs8cz", true),
        ("o-123456", false),
        ("o-T194HFS8CZ", false),
    ] {
        let outcome = permit(|fields| fields.organization = Some(organization.to_owned()));
        assert_eq!(outcome.is_ok(), is_one, "{organization}");
    }
    for sid in ["a b", "a\"", ""] {
        let outcome = permit(|fields| fields.sid = Some(sid.to_owned()));
        assert_eq!(refused(outcome).1, "ValidationException", "{sid}");
    }
}
