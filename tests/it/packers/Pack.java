import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Packs the working directory as Java programs do: {@code Pack.java WAY}, to standard output. */
final class Pack {
    private Pack() {
    }

    public static void main(String[] arguments) throws IOException {
        String way = arguments[0];
        Path here = Path.of("");
        List<Path> paths;
        try (Stream<Path> walk = Files.walk(here)) {
            paths = walk.filter(path -> !path.toString().isEmpty()).sorted().collect(Collectors.toList());
        }
        OutputStream out = System.out;
        try (ZipOutputStream archive = new ZipOutputStream(out)) {
            archive.setComment("packed by Java");
            for (Path path : paths) {
                boolean isDirectory = Files.isDirectory(path);
                ZipEntry entry = new ZipEntry(isDirectory ? path + "/" : path.toString());
                FileTime time = Files.getLastModifiedTime(path);
                if (way.equals("all-times")) {
                    // Written as an extended timestamp, which nothing else here makes Java write.
                    entry.setLastModifiedTime(time);
                    entry.setLastAccessTime(time);
                    entry.setCreationTime(time);
                } else {
                    entry.setTime(time.toMillis());
                }
                byte[] content = isDirectory ? new byte[0] : Files.readAllBytes(path);
                if (way.equals("stored")) {
                    CRC32 crc = new CRC32();
                    crc.update(content);
                    entry.setMethod(ZipEntry.STORED);
                    entry.setSize(content.length);
                    entry.setCrc(crc.getValue());
                }
                archive.putNextEntry(entry);
                archive.write(content);
                archive.closeEntry();
            }
        }
    }
}
