// AWS's SDK for JavaScript against the server. Arguments: the server's URL, a zip file, and where the SDK is installed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [url, zip, installed] = process.argv.slice(2);
const sdk = createRequire(`${installed}/`)('@aws-sdk/client-lambda');
const archive = readFileSync(zip);
const client = (accessKeyId) =>
  new sdk.LambdaClient({ endpoint: url, region: 'us-east-1', maxAttempts: 1, credentials: { accessKeyId, secretAccessKey: 'unused' } });
const ours = client('444444444444');
const call = (name, parameters, who = ours) => who.send(new sdk[`${name}Command`](parameters));
const refused = async (promise, name, status) => {
  const error = await promise.then(() => assert.fail('not refused'), (error) => error);
  assert.deepEqual([error.name, error.$metadata.httpStatusCode], [name, status]);
  return error;
};

const LayerName = 'node-deps';
const published = await call('PublishLayerVersion', { LayerName, Content: { ZipFile: archive }, CompatibleRuntimes: ['nodejs22.x'] });
assert.deepEqual([published.Version, published.Content.CodeSize, published.CompatibleRuntimes], [1, archive.length, ['nodejs22.x']]);
const got = await call('GetLayerVersion', { LayerName: published.LayerArn, VersionNumber: 1 });
assert.equal(got.Content.CodeSha256, published.Content.CodeSha256);
const downloaded = await fetch(got.Content.Location);
assert.deepEqual(Buffer.from(await downloaded.arrayBuffer()), archive);
const byArn = await call('GetLayerVersionByArn', { Arn: published.LayerVersionArn });
assert.equal(byArn.LayerVersionArn, published.LayerVersionArn);
for (let number = 0; number < 3; number++) await call('PublishLayerVersion', { LayerName, Content: { ZipFile: archive } });
const numbers = [];
for await (const page of sdk.paginateListLayerVersions({ client: ours, pageSize: 2 }, { LayerName })) {
  numbers.push(page.LayerVersions.map((version) => version.Version));
}
assert.deepEqual(numbers, [[4, 3], [2, 1]]);
assert.deepEqual((await call('ListLayers', {})).Layers.map((layer) => layer.LayerName), [LayerName]);
const added = await call('AddLayerVersionPermission',
  { LayerName, VersionNumber: 1, StatementId: 's', Action: 'lambda:GetLayerVersion', Principal: '*' });
const policy = await call('GetLayerVersionPolicy', { LayerName, VersionNumber: 1 });
assert.deepEqual(JSON.parse(policy.Policy).Statement, [JSON.parse(added.Statement)]);
const shared = await call('GetLayerVersion', { LayerName: published.LayerArn, VersionNumber: 1 }, client('555555555555'));
assert.equal(shared.Version, 1);
await call('RemoveLayerVersionPermission', { LayerName, VersionNumber: 1, StatementId: 's', RevisionId: policy.RevisionId });
await call('DeleteLayerVersion', { LayerName, VersionNumber: 1 });
const gone = await refused(call('GetLayerVersion', { LayerName, VersionNumber: 1 }), 'ResourceNotFoundException', 404);
assert.equal(gone.message, 'The resource you requested does not exist.');
assert.equal(gone.Type, 'User');
await refused(call('GetLayerVersion', { LayerName: published.LayerArn, VersionNumber: 2 }, client('555555555555')), 'AccessDeniedException', 403);
console.log('done');
