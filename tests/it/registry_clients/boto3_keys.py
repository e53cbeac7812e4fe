"""boto3 against a server that verifies signatures. Arguments: the server's URL, and a zip file."""

import sys
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

URL, ZIP = sys.argv[1], open(sys.argv[2], "rb").read()


def client(key, secret, region="us-east-1", **config):
    return boto3.client("lambda", endpoint_url=URL, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret,
                        config=Config(retries={"total_max_attempts": 1}, **config))


def same(found, expected):
    assert found == expected, f"\nfound    {found!r}\nexpected {expected!r}"


def refused(code, call, **parameters):
    try:
        answer = call(**parameters)
    except ClientError as error:
        same((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]), (code, 403))
        return error.response["Error"]["Message"]
    raise AssertionError(f"not refused: {answer}")


owner = client("AKIDOWNER", "owner's secret")
member = client("AKIDMEMBER", "member's secret")
stranger = client("AKIDSTRANGER", "stranger's secret")
version = owner.publish_layer_version(LayerName="deps", Content={"ZipFile": ZIP})
arn, layer = version["LayerVersionArn"], version["LayerArn"]
same(arn, "arn:aws:lambda:us-east-1:111111111111:layer:deps:1")

# Everything that is signed in another way than a plain request: encoded paths, queries, bodies, other regions.
same(owner.get_layer_version(LayerName=layer, VersionNumber=1)["Version"], 1)
same(owner.get_layer_version_by_arn(Arn=arn)["Version"], 1)
same(len(owner.list_layers(CompatibleRuntime="python3.13", MaxItems=5, Marker="")["Layers"]), 0)
same(client("AKIDOWNER", "owner's secret", region="eu-central-1").list_layers()["Layers"], [])
# A key id of twelve digits is an account only where no keys are configured.
refused("UnrecognizedClientException", client("111111111111", "owner's secret").list_layers)
refused("InvalidSignatureException", client("AKIDOWNER", "another").list_layers)
refused("InvalidSignatureException", client("AKIDOWNER", "another").publish_layer_version, LayerName="deps", Content={"ZipFile": ZIP})
unsigned = boto3.client("lambda", endpoint_url=URL, region_name="us-east-1", config=Config(signature_version=UNSIGNED))
refused("MissingAuthenticationTokenException", unsigned.list_layers)
same(len(owner.list_layer_versions(LayerName="deps")["LayerVersions"]), 1)


def tamper(request, **_):
    """Changes the body after it was signed."""
    request.body = request.body.replace(b"python3.13", b"python3.12")


tampered = client("AKIDOWNER", "owner's secret")
tampered.meta.events.register("before-send.lambda.PublishLayerVersion", tamper)
refused("InvalidSignatureException", tampered.publish_layer_version, LayerName="deps", Content={"ZipFile": ZIP},
        CompatibleRuntimes=["python3.13"])

# An organization's policy lets its members in and nobody else.
for who in (member, stranger):
    refused("AccessDeniedException", who.get_layer_version, LayerName=layer, VersionNumber=1)
owner.add_layer_version_permission(LayerName="deps", VersionNumber=1, StatementId="org", Action="lambda:GetLayerVersion", Principal="*",
                                   OrganizationId="o-t194hfs8cz")
location = member.get_layer_version(LayerName=layer, VersionNumber=1)["Content"]["Location"]
message = refused("AccessDeniedException", stranger.get_layer_version, LayerName=layer, VersionNumber=1)
assert message.startswith("User: arn:aws:iam::333333333333:root is not authorized"), message
# Whoever has a link needs no credentials.
with urllib.request.urlopen(location) as answer:
    same(answer.read(), ZIP)
print("done")
