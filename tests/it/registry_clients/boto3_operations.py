"""boto3 against the server: every operation, and every refusal with its type, status and sentence.

Arguments: the server's URL, and a zip file. The expected answers are those that the service itself gave, as its users and the
snapshot tests of other projects recorded them.
"""

import base64
import hashlib
import json
import re
import sys
import urllib.error
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

URL, ZIP = sys.argv[1], open(sys.argv[2], "rb").read()
REGION = "us-east-1"


def client(account="111111111111", region=REGION, **config):
    # One attempt: a refusal that is tried again would be a 5xx.
    return boto3.client("lambda", endpoint_url=URL, region_name=region, aws_access_key_id=account,
                        aws_secret_access_key="unused", config=Config(retries={"total_max_attempts": 1}, **config))


def same(found, expected):
    assert found == expected, f"\nfound    {found!r}\nexpected {expected!r}"


def refused(status, code, message, call, **parameters):
    """The answer to a call that must be refused."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        response = error.response
        same((response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]),
             (status, code, message))
        return response
    raise AssertionError(f"not refused: {answer}")


def without(answer):
    answer = dict(answer)
    answer.pop("ResponseMetadata")
    return answer


ours = client()
ARN = f"arn:aws:lambda:{REGION}:111111111111:layer:deps"

# ---- publish, get, list, delete ----
first = ours.publish_layer_version(LayerName="deps", Content={"ZipFile": ZIP}, CompatibleRuntimes=["python3.13", "python3.12"],
                                   CompatibleArchitectures=[], LicenseInfo="MIT")
same(first["ResponseMetadata"]["HTTPStatusCode"], 201)
content = first["Content"]
same(sorted(content), ["CodeSha256", "CodeSize", "Location"])
same((content["CodeSize"], content["CodeSha256"]), (len(ZIP), base64.b64encode(hashlib.sha256(ZIP).digest()).decode()))
assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", first["CreatedDate"]), first["CreatedDate"]
described = without(first)
del described["Content"], described["CreatedDate"]
same(described, {"LayerArn": ARN, "LayerVersionArn": f"{ARN}:1", "Description": "", "Version": 1, "LicenseInfo": "MIT",
                 "CompatibleRuntimes": ["python3.13", "python3.12"], "CompatibleArchitectures": []})
second = ours.publish_layer_version(LayerName=ARN, Content={"ZipFile": ZIP}, Description="by its ARN")
same((second["Version"], second["Description"], "CompatibleRuntimes" in second, "LicenseInfo" in second), (2, "by its ARN", False, False))
same(second["Content"]["CodeSha256"], content["CodeSha256"])

for got in [ours.get_layer_version(LayerName="deps", VersionNumber=1), ours.get_layer_version(LayerName=ARN, VersionNumber=1),
            ours.get_layer_version_by_arn(Arn=f"{ARN}:1")]:
    same(got["ResponseMetadata"]["HTTPStatusCode"], 200)
    same({**without(got), "Content": 0}, {**without(first), "Content": 0})
    location = got["Content"]["Location"]
    assert location.startswith(URL), location
    with urllib.request.urlopen(location) as answer:
        same((answer.read(), int(answer.headers["Content-Length"])), (ZIP, len(ZIP)))

listed = ours.list_layer_versions(LayerName="deps")
same([version["Version"] for version in listed["LayerVersions"]], [2, 1])
same(sorted(listed["LayerVersions"][1]), ["CompatibleArchitectures", "CompatibleRuntimes", "CreatedDate", "LayerVersionArn", "LicenseInfo", "Version"])
same(sorted(listed["LayerVersions"][0]), ["CreatedDate", "Description", "LayerVersionArn", "Version"])
same(ours.list_layer_versions(LayerName="nobody-made-it")["LayerVersions"], [])
layers = ours.list_layers()["Layers"]
same([(layer["LayerName"], layer["LayerArn"], layer["LatestMatchingVersion"]["Version"]) for layer in layers], [("deps", ARN, 2)])
matching = ours.list_layers(CompatibleRuntime="python3.12")["Layers"]
same([layer["LatestMatchingVersion"]["Version"] for layer in matching], [1])
same(ours.list_layers(CompatibleArchitecture="arm64")["Layers"], [])
same(ours.list_layer_versions(LayerName="deps", CompatibleRuntime="ruby3.4")["LayerVersions"], [])

for _ in range(2):
    same(ours.delete_layer_version(LayerName="deps", VersionNumber=2)["ResponseMetadata"]["HTTPStatusCode"], 204)
same(ours.delete_layer_version(LayerName="nobody-made-it", VersionNumber=7)["ResponseMetadata"]["HTTPStatusCode"], 204)
same(ours.publish_layer_version(LayerName="deps", Content={"ZipFile": ZIP})["Version"], 3)
absent = "The resource you requested does not exist."
for call, parameters in [(ours.get_layer_version, {"LayerName": "deps", "VersionNumber": 2}),
                         (ours.get_layer_version, {"LayerName": "nobody-made-it", "VersionNumber": 1}),
                         (ours.get_layer_version_by_arn, {"Arn": f"{ARN}:2"})]:
    response = refused(404, "ResourceNotFoundException", absent, call, **parameters)
    same((response["Type"], response["Message"]), ("User", absent))

# ---- paging: what is shown once is not shown again, whatever happens between two pages ----
for number in range(7):
    ours.publish_layer_version(LayerName=f"page-{number}", Content={"ZipFile": ZIP})
pages = ours.get_paginator("list_layers").paginate(PaginationConfig={"PageSize": 3})
names = []
for page in pages:
    names.append([layer["LayerName"] for layer in page["Layers"]])
same(names, [["deps", "page-0", "page-1"], ["page-2", "page-3", "page-4"], ["page-5", "page-6"]])
page = ours.list_layers(MaxItems=3)
ours.delete_layer_version(LayerName="page-1", VersionNumber=1)
same([layer["LayerName"] for layer in ours.list_layers(MaxItems=2, Marker=page["NextMarker"])["Layers"]], ["page-2", "page-3"])
for _ in range(5):
    ours.publish_layer_version(LayerName="many", Content={"ZipFile": ZIP})
pages = ours.get_paginator("list_layer_versions").paginate(LayerName="many", PaginationConfig={"PageSize": 2})
same([[version["Version"] for version in page["LayerVersions"]] for page in pages], [[5, 4], [3, 2], [1]])

# ---- another region, another account ----
west = client(region="eu-west-1")
same(west.list_layers()["Layers"], [])
same(west.publish_layer_version(LayerName="deps", Content={"ZipFile": ZIP})["LayerVersionArn"],
     "arn:aws:lambda:eu-west-1:111111111111:layer:deps:1")
refused(400, "InvalidParameterValueException", f"Invalid Layer name: {ARN}", west.get_layer_version, LayerName=ARN, VersionNumber=1)
same(client("somebody").publish_layer_version(LayerName="x", Content={"ZipFile": ZIP})["LayerArn"],
     f"arn:aws:lambda:{REGION}:000000000000:layer:x")
unsigned = boto3.client("lambda", endpoint_url=URL, region_name=REGION, config=Config(signature_version=UNSIGNED))
same([layer["LayerName"] for layer in unsigned.list_layers()["Layers"]], ["x"])

# ---- policies ----
theirs = client("222222222222")
denied = (f"User: arn:aws:iam::222222222222:root is not authorized to perform: lambda:GetLayerVersion on resource: {ARN}:1 "
          "because no resource-based policy allows the lambda:GetLayerVersion action")
refused(403, "AccessDeniedException", denied, theirs.get_layer_version, LayerName=ARN, VersionNumber=1)
refused(403, "AccessDeniedException", denied, theirs.get_layer_version_by_arn, Arn=f"{ARN}:1")
version = {"LayerName": "deps", "VersionNumber": 1}
statement = {**version, "Action": "lambda:GetLayerVersion"}
none = "No policy is associated with the given resource."
refused(404, "ResourceNotFoundException", none, ours.get_layer_version_policy, **version)
added = ours.add_layer_version_permission(**statement, StatementId="s1", Principal="222222222222")
same(added["ResponseMetadata"]["HTTPStatusCode"], 201)
one = {"Sid": "s1", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Action": "lambda:GetLayerVersion",
       "Resource": f"{ARN}:1"}
same(json.loads(added["Statement"]), one)
policy = ours.get_layer_version_policy(**version)
same((json.loads(policy["Policy"]), policy["RevisionId"]),
     ({"Version": "2012-10-17", "Id": "default", "Statement": [one]}, added["RevisionId"]))
same(theirs.get_layer_version(LayerName=ARN, VersionNumber=1)["Version"], 1)
refused(403, "AccessDeniedException", denied.replace("222222222222", "333333333333"),
        client("333333333333").get_layer_version, LayerName=ARN, VersionNumber=1)
# It allows getting that version and nothing else, and never means a layer of the caller's own.
refused(403, "AccessDeniedException", denied.replace(f"{ARN}:1", f"{ARN}:3"), theirs.get_layer_version, LayerName=ARN, VersionNumber=3)
for call, action, resource, parameters in [
        (theirs.list_layer_versions, "ListLayerVersions", ARN, {"LayerName": ARN}),
        (theirs.delete_layer_version, "DeleteLayerVersion", f"{ARN}:1", {"LayerName": ARN, "VersionNumber": 1}),
        (theirs.get_layer_version_policy, "GetLayerVersionPolicy", f"{ARN}:1", {"LayerName": ARN, "VersionNumber": 1})]:
    message = denied.replace("lambda:GetLayerVersion", f"lambda:{action}").replace(f"{ARN}:1", resource)
    refused(403, "AccessDeniedException", message, call, **parameters)
theirs.publish_layer_version(LayerName="deps", Content={"ZipFile": ZIP})
refused(403, "AccessDeniedException", denied.replace(f"{ARN}:1", f"{ARN}:9"), theirs.get_layer_version, LayerName=ARN, VersionNumber=9)
refused(409, "ResourceConflictException",
        "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing statement.",
        ours.add_layer_version_permission, **statement, StatementId="s1", Principal="*")
stale = "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the latest Revision Id"
response = refused(412, "PreconditionFailedException", stale, ours.add_layer_version_permission, **statement, StatementId="s2",
                   Principal="*", RevisionId="00000000-0000-0000-0000-000000000000")
same((response["Type"], response["message"]), ("User", stale))
second = ours.add_layer_version_permission(**statement, StatementId="s2", Principal="*", OrganizationId="o-t194hfs8cz",
                                           RevisionId=added["RevisionId"])
same(json.loads(second["Statement"])["Condition"], {"StringEquals": {"aws:PrincipalOrgID": "o-t194hfs8cz"}})
refused(412, "PreconditionFailedException", stale, ours.remove_layer_version_permission, **version, StatementId="s1",
        RevisionId=added["RevisionId"])
refused(404, "ResourceNotFoundException", "Statement doesnotexist is not found in resource policy.",
        ours.remove_layer_version_permission, **version, StatementId="doesnotexist")
for sid in ("s1", "s2"):
    removed = ours.remove_layer_version_permission(**version, StatementId=sid)
    same(removed["ResponseMetadata"]["HTTPStatusCode"], 204)
refused(404, "ResourceNotFoundException", none, ours.get_layer_version_policy, **version)
refused(403, "AccessDeniedException", denied, theirs.get_layer_version, LayerName=ARN, VersionNumber=1)
for call, parameters in [(ours.get_layer_version_policy, {}), (ours.remove_layer_version_permission, {"StatementId": "s"}),
                         (ours.add_layer_version_permission, {"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"})]:
    refused(404, "ResourceNotFoundException", f"Layer version {ARN}:9 does not exist.", call, LayerName="deps", VersionNumber=9,
            **parameters)
refused(400, "ValidationException",
        "1 validation error detected: Value '*' at 'action' failed to satisfy constraint: Member must satisfy regular expression pattern: lambda:GetLayerVersion",
        ours.add_layer_version_permission, **version, StatementId="s", Action="*", Principal="*")

# ---- refusals ----
below_one = "Layer Version Cannot be less than 1"
for call in (ours.get_layer_version, ours.delete_layer_version):
    for number in (0, -1):
        refused(400, "InvalidParameterValueException", below_one, call, LayerName="deps", VersionNumber=number)
pattern = (r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)"
           r"|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)")
detected = "1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: {}"
refused(400, "ValidationException", detected.format(ARN, "arn", f"Member must satisfy regular expression pattern: {pattern}"),
        ours.get_layer_version_by_arn, Arn=ARN)
refused(400, "ValidationException", detected.format("archdoesnotexist", "compatibleArchitecture",
        "Member must satisfy enum value set: [x86_64, arm64]"), ours.list_layers, CompatibleArchitecture="archdoesnotexist")
refused(400, "ValidationException", detected.format("51", "maxItems", "Member must have value less than or equal to 50"),
        ours.list_layers, MaxItems=51)
two = ("2 validation errors detected: Value '[invalidruntime]' at 'compatibleRuntimes' failed to satisfy constraint: Member must satisfy "
       "enum value set: [nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, "
       "python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, "
       "nodejs18.x, provided.al2, java8.al2]; Value '[invalidarch]' at 'compatibleArchitectures' failed to satisfy constraint: Member "
       "must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]")
refused(400, "ValidationException", two, ours.publish_layer_version, LayerName="deps", Content={"ZipFile": ZIP},
        CompatibleRuntimes=["invalidruntime"], CompatibleArchitectures=["invalidarch"])
refused(400, "ValidationException", detected.format("MIT\nLicense", "licenseInfo", "Member must satisfy regular expression pattern: .*"),
        ours.publish_layer_version, LayerName="deps", Content={"ZipFile": ZIP}, LicenseInfo="MIT\nLicense")
for archive, message in [(b"no zip", "Could not unzip uploaded file. Please check your file, then try to upload again."),
                         (ZIP[:-10], "Could not unzip uploaded file. Please check your file, then try to upload again."),
                         (b"PK\5\6" + bytes(18), "Uploaded file must be a non-empty zip")]:
    response = refused(400, "InvalidParameterValueException", message, ours.publish_layer_version, LayerName="deps",
                       Content={"ZipFile": archive})
    same((response["Type"], response["message"]), ("User", message))
refused(400, "InvalidParameterValueException", "Please provide a source for the layer content.", ours.publish_layer_version,
        LayerName="deps", Content={})
large = bytes(53_000_000)
refused(413, "RequestEntityTooLargeException", "Request must be smaller than 70167211 bytes for the PublishLayerVersion operation",
        ours.publish_layer_version, LayerName="deps", Content={"ZipFile": large})
same([version["Version"] for version in ours.list_layer_versions(LayerName="deps")["LayerVersions"]], [3, 1])

# ---- links ----
location = ours.get_layer_version(LayerName="deps", VersionNumber=1)["Content"]["Location"]
for link, status, code in [(location[:-1] + ("1" if location[-1] == "0" else "0"), 403, "SignatureDoesNotMatch"), (location.split("?")[0], 403, "SignatureDoesNotMatch")]:
    try:
        urllib.request.urlopen(link)
        raise AssertionError(f"not refused: {link}")
    except urllib.error.HTTPError as error:
        same(error.code, status)
        assert f"<Code>{code}</Code>" in error.read().decode()
print("done")
