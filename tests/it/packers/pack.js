// Packs the working directory as Node programs do: `pack.js WAY ARCHIVE`, with the packages of target/packers.

const fs = require("fs");
const path = require("path");
const [way, target] = process.argv.slice(2);

// Everything here, directories before what they hold; links are not followed.
function names(folder = "") {
  return fs.readdirSync(folder || ".").sort().flatMap((name) => {
    const below = path.join(folder, name);
    return fs.lstatSync(below).isDirectory() ? [below, ...names(below)] : [below];
  });
}

function look(visit) {
  for (const name of names()) {
    const status = fs.lstatSync(name);
    visit(name, {
      status,
      kind: status.isDirectory() ? "directory" : status.isSymbolicLink() ? "link" : "file",
      bytes: () => (status.isSymbolicLink() ? Buffer.from(fs.readlinkSync(name)) : fs.readFileSync(name)),
    });
  }
}

function archiver(options, fill) {
  const archive = require("archiver")("zip", options);
  archive.on("error", (error) => { throw error; });
  archive.on("warning", (error) => { throw error; });
  archive.pipe(fs.createWriteStream(target));
  fill(archive);
  archive.finalize();
}

// One after the other by hand: a directory walk of the package itself would leave their order to the disk.
function each(archive) {
  look((name, { status, kind, bytes }) => {
    if (kind === "link") archive.symlink(name, fs.readlinkSync(name), 0o777);
    else if (kind === "directory") archive.append(null, { name: name + "/", type: "directory", mode: status.mode, date: status.mtime });
    else archive.append(bytes(), { name, mode: status.mode, date: status.mtime });
  });
}

function yazl(fileOptions, end, addFile) {
  const yazl = require("yazl");
  const archive = new yazl.ZipFile();
  archive.outputStream.pipe(fs.createWriteStream(target));
  look((name, { status: { mode, mtime }, kind, bytes }) => {
    if (kind === "directory") archive.addEmptyDirectory(name, { mode, mtime });
    // yazl knows no links, but it takes a mode: that is how its users keep them.
    else if (kind === "link") archive.addBuffer(bytes(), name, { mode, mtime, ...fileOptions });
    else addFile(archive, name, { mode, mtime, ...fileOptions });
  });
  archive.end(end);
}
const addFile = (archive, name, options) => archive.addFile(name, name, options);
const addBuffer = (archive, name, options) => archive.addBuffer(fs.readFileSync(name), name, options);
const addStream = (archive, name, options) => archive.addReadStream(fs.createReadStream(name), name, options);

async function jszip(entryOptions, options) {
  const JSZip = require("jszip");
  const archive = new JSZip();
  look((name, { status, kind, bytes }) => {
    const unixPermissions = options.platform === "UNIX" ? status.mode : undefined;
    // The package has no word for a link; without modes it is left out.
    if (kind === "directory") archive.file(name, null, { dir: true, date: status.mtime, unixPermissions });
    else if (kind === "file" || unixPermissions) archive.file(name, bytes(), { date: status.mtime, unixPermissions, ...entryOptions });
  });
  const stream = archive.generateNodeStream(options);
  stream.pipe(fs.createWriteStream(target));
}

function fflateOptions({ status }) {
  return { mtime: status.mtime, os: 3, attrs: (status.mode << 16) >>> 0 };
}

function fflateTree(optionsOf) {
  const files = {};
  look((name, object) => {
    const bytes = object.kind === "directory" ? new Uint8Array(0) : object.bytes();
    if (object.kind !== "link" || optionsOf(object).os) files[name + (object.kind === "directory" ? "/" : "")] = [bytes, optionsOf(object)];
  });
  fs.writeFileSync(target, require("fflate").zipSync(files, { level: 6 }));
}

function fflateStream(kindOfFile) {
  const fflate = require("fflate");
  const out = fs.openSync(target, "w");
  const archive = new fflate.Zip((error, chunk, isLast) => {
    if (error) throw error;
    fs.writeSync(out, chunk);
    if (isLast) fs.closeSync(out);
  });
  look((name, object) => {
    const file = new fflate[object.kind === "directory" ? "ZipPassThrough" : kindOfFile](name + (object.kind === "directory" ? "/" : ""));
    Object.assign(file, fflateOptions(object));
    archive.add(file);
    file.push(object.kind === "directory" ? new Uint8Array(0) : object.bytes(), true);
  });
  archive.end();
}

const ways = {
  archiver: () => archiver({ zlib: { level: 9 } }, each),
  "archiver-stored": () => archiver({ store: true }, each),
  "archiver-zip64": () => archiver({ forceZip64: true }, each),
  "archiver-walking": () => archiver({}, (archive) => archive.directory(".", false)),
  "archiver-local-time": () => archiver({ forceLocalTime: true, statConcurrency: 1 }, each),
  yazl: () => yazl({}, {}, addFile),
  "yazl-stored": () => yazl({ compress: false }, {}, addBuffer),
  "yazl-stream": () => yazl({}, {}, addStream),
  "yazl-zip64": () => yazl({ forceZip64Format: true }, { forceZip64Format: true }, addFile),
  "yazl-zip64-stream": () => yazl({ forceZip64Format: true }, { forceZip64Format: true }, addStream),
  "yazl-dos-time": () => yazl({ forceDosTimestamp: true }, {}, addFile),
  jszip: () => jszip({ compression: "DEFLATE" }, {}),
  "jszip-stored": () => jszip({}, {}),
  "jszip-unix": () => jszip({ compression: "DEFLATE" }, { platform: "UNIX" }),
  "jszip-unix-stream": () => jszip({ compression: "DEFLATE" }, { platform: "UNIX", streamFiles: true }),
  "adm-zip": () => {
    const archive = new (require("adm-zip"))();
    look((name, { status, kind, bytes }) => {
      if (kind === "directory") archive.addFile(name + "/", Buffer.alloc(0), "", status.mode & 0o777);
      else if (kind === "file") archive.addFile(name, bytes(), "", status.mode & 0o777);
    });
    archive.writeZip(target);
  },
  "adm-zip-folder": () => {
    const archive = new (require("adm-zip"))();
    archive.addLocalFolder(".");
    archive.writeZip(target);
  },
  fflate: () => fflateTree(({ status }) => ({ mtime: status.mtime })),
  "fflate-unix": () => fflateTree(fflateOptions),
  "fflate-stream": () => fflateStream("ZipDeflate"),
  "fflate-stream-stored": () => fflateStream("ZipPassThrough"),
};
ways[way]();
