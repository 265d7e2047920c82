package io.github.stemsplitter;

import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.time.*;
import java.util.function.*;
import java.util.stream.*;

import java.io.*;
import java.net.http.HttpRequest.*;
import java.nio.file.*;
import java.util.*;
import java.util.regex.*;

/** Uploads in chunks, which continue after a lost connection; downloads of files, complete or not at all. */
final class Transfers {
    private static final Pattern SUFFIX = Pattern.compile("\\.([a-z0-9]{2,5})(?:\\?.*)?$");
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_-]*");

    static final int CHUNK_BYTES = 8 << 20;
    // without progress: the server needs up to a minute to detect that a connection was lost
    private static final int MAX_RETRIES = 10, MAX_HOPS = 5, PIECE = 1 << 16;
    private static final Set<String> BUSY = Set.of("UPLOAD_INCOMPLETE", "UPLOAD_IN_PROGRESS", "UPLOAD_OFFSET_MISMATCH");
    private static final Map<String, String> TYPES = Map.of(
        "flac", "audio/flac", "m4a", "audio/mp4", "mp3", "audio/mpeg", "ogg", "audio/ogg", "wav", "audio/wav");

    /** Returns the media type of a file, from its name. */
    static String contentTypeOf(String name) {
        String known = TYPES.get(name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT));
        if (known == null) known = URLConnection.guessContentTypeFromName(name);
        return known == null ? "application/octet-stream" : known;
    }

    /** Sends a song to a reserved upload. Returns {@code url} and {@code key}. */
    static Data send(Http http, Data reservation, Source song, long size, int chunkBytes,
            BiConsumer<Long, Long> onProgress) {
        String url = reservation.text("uploadUrl");
        String token = reservation.object("uploadHeaders").text("X-Upload-Token");
        long offset = 0;
        int failures = 0;
        while (true) {
            long end = Math.min(offset + chunkBytes, size);
            boolean isLast = end >= size;
            Map<String, String> headers = Map.of(
                "X-Upload-Token", token, "Content-Type", "application/partial-upload",
                "Upload-Offset", Long.toString(offset), "Upload-Complete", isLast ? "?1" : "?0");
            StemSplitterException error;
            try (Http.Answer answer = http.send("PATCH", url, headers, piece(song, offset, end), http.timeout())) {
                if (answer.status() < 300) {
                    Data body = answer.json();
                    failures = 0;
                    offset = end;
                    if (onProgress != null) onProgress.accept(end, size);
                    if (isLast) return body.object("data");
                    continue;
                }
                error = answer.error();
                if (!Http.RETRIED.contains(answer.status()) && !BUSY.contains(error.getCode())) throw error;
            } catch (IOException lost) {
                error = Http.lost("The upload", lost);
            }
            if (++failures > MAX_RETRIES) throw error;
            if (!error.getCode().equals("UPLOAD_OFFSET_MISMATCH")) http.pause(failures, error);
            long stored = http.request("HEAD", url, Map.of("X-Upload-Token", token), null, true,
                answer -> Long.valueOf(answer.headers().get("upload-offset")));
            if (stored > offset) failures = 0;
            offset = stored;
        }
    }

    private static BodyPublisher piece(Source song, long offset, long end) {
        if (offset == end) return BodyPublishers.noBody();
        return BodyPublishers.fromPublisher(BodyPublishers.ofByteArrays(
            () -> LongStream.iterate(offset, at -> at < end, at -> at + PIECE)
                .mapToObj(at -> song.read(at, (int) Math.min(PIECE, end - at))).iterator()), end - offset);
    }

    /** Reads a song: so many bytes from a position on. */
    interface Source { byte[] read(long at, int size); }

    static byte[] read(FileChannel file, long at, int size) {
        ByteBuffer found = ByteBuffer.allocate(size);
        try {
            while (found.hasRemaining())
                if (file.read(found, at + found.position()) < 0) throw new EOFException("The file became shorter.");
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return found.array();
    }

    /** Downloads links into files of a folder, named by their keys. They appear together, when all are complete. */
    static Map<String, Path> files(Http http, Map<String, Object> links, Path folder) {
        Map<String, Path> found = new LinkedHashMap<>();
        links.forEach((name, url) -> {
            if (!NAME.matcher(name).matches()) throw failed("\"" + name + "\" is not a file name.", null);
            Matcher suffix = SUFFIX.matcher(url.toString());
            found.put(name, folder.resolve(name + "." + (suffix.find() ? suffix.group(1) : "audio")));
        });
        into(http, links, Map.of(), found, folder, Duration.ZERO);
        return found;
    }

    /** Downloads a file, which appears when it is complete; waits for the server to make it. */
    static Path file(Http http, String url, Map<String, String> headers, Path path, Duration timeout) {
        Path folder = path.toAbsolutePath().getParent();
        into(http, Map.of("file", url), headers, Map.of("file", path), folder, timeout);
        return path;
    }

    private static void into(Http http, Map<String, Object> links, Map<String, String> headers,
            Map<String, Path> targets, Path folder, Duration timeout) {
        try {
            Files.createDirectories(folder);
            Path temporary = Files.createTempDirectory(folder, ".stems-");
            try {
                for (String name : links.keySet())
                    download(http, links.get(name).toString(), new HashMap<>(headers), temporary.resolve(name), timeout);
                for (String name : targets.keySet())
                    Files.move(temporary.resolve(name), targets.get(name), StandardCopyOption.ATOMIC_MOVE);
            } finally {
                for (String name : links.keySet()) Files.deleteIfExists(temporary.resolve(name));
                Files.delete(temporary);
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static void download(Http http, String url, Map<String, String> headers, Path path, Duration timeout)
            throws IOException {
        long deadline = System.nanoTime() + timeout.toNanos();
        Files.createFile(path);
        for (int hops = 0; ; ) {
            Http.Answer answer;
            try {
                answer = http.request("GET", url, headers, null, true, response -> {
                    if (response.status() != 200 && response.status() != 206) return response;
                    var how = response.status() == 200 ? StandardOpenOption.TRUNCATE_EXISTING : StandardOpenOption.APPEND;
                    try (OutputStream out = Files.newOutputStream(path, StandardOpenOption.WRITE, how)) {
                        response.body().transferTo(out);
                    } finally {
                        continueWith(headers, response.headers().getOrDefault("etag", ""), Files.size(path));
                    }
                    return response;
                });
            } catch (StemSplitterException.ConnectionFailed error) {
                throw failed(path.getFileName() + " was not received completely: " + error.getMessage(), error);
            }
            if (answer.status() == 202) {
                if (System.nanoTime() >= deadline) throw new StemSplitterException("TIMEOUT", "The file is not ready.", null);
                http.sleep(answer.retryAfter() == null ? 1000 : answer.retryAfter() * 1000);
            } else if (answer.status() < 300) {
                return;
            } else if (++hops > MAX_HOPS || !answer.headers().containsKey("location")) {
                throw failed(path.getFileName() + " was not received: status " + answer.status() + ".", null);
            } else {
                url = answer.headers().get("location");
                headers.clear(); // the key must not reach the target of a redirect
            }
        }
    }

    private static void continueWith(Map<String, String> headers, String etag, long offset) {
        headers.keySet().removeAll(Set.of("Range", "If-Range"));
        if (!etag.startsWith("\"") || offset == 0) return; // a weak one does not identify bytes
        headers.putAll(Map.of("Range", "bytes=" + offset + "-", "If-Range", etag));
    }

    static StemSplitterException failed(String message, Throwable cause) {
        return new StemSplitterException("DOWNLOAD_ERROR", message, cause);
    }
}
