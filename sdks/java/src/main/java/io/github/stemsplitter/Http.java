package io.github.stemsplitter;

import java.net.*;
import java.nio.charset.*;
import java.nio.file.*;
import java.time.*;

import java.io.*;
import java.net.http.*;
import java.net.http.HttpRequest.*;
import java.util.*;
import java.util.concurrent.*;

/** Sends requests, and repeats those that can be repeated. */
record Http(HttpClient client, Duration timeout, int maxRetries, StemSplitter.Sleeper sleeper) {
    static final Set<Integer> RETRIED = Set.of(408, 429, 500, 502, 503, 504);
    private static final long FIRST_DELAY_MS = 500, MAX_DELAY_MS = 8000, MAX_RETRY_AFTER_S = 120, BYTES_PER_MS = 16;
    private static final System.Logger LOG = System.getLogger("stemsplitter");

    /** A response with its unread body. */
    record Answer(int status, Map<String, String> headers, InputStream body) implements AutoCloseable {
        /** Returns the parsed body; empty if it is not JSON, as of a proxy. */
        Data json() throws IOException {
            try {
                return new Data(Json.parse(new String(body.readAllBytes(), StandardCharsets.UTF_8)));
            } catch (IllegalArgumentException notJson) {
                return new Data(null);
            }
        }

        Long retryAfter() {
            String value = headers.getOrDefault("retry-after", "");
            return value.matches("\\d{1,9}") ? Long.valueOf(value) : null;
        }

        StemSplitterException error() throws IOException { return StemSplitterException.of(json(), this); }

        @Override
        public void close() throws IOException { body.close(); }
    }

    interface Reader<T> { T read(Answer answer) throws IOException; }

    /** Sends a request once. {@code silence} limits the time in which nothing is received. */
    Answer send(String method, String url, Map<String, String> headers, BodyPublisher body, Duration silence)
            throws IOException {
        Duration slow = Duration.ofMillis(Math.max(0, body.contentLength()) / BYTES_PER_MS);
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).method(method, body)
            .timeout(silence.plus(slow)).header("User-Agent", "stemsplitter-java/" + StemSplitter.VERSION);
        headers.forEach(request::header);
        try {
            HttpResponse<InputStream> response = client.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
            Map<String, String> found = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
            response.headers().map().forEach((name, values) -> found.put(name, String.join(", ", values)));
            return new Answer(response.statusCode(), found, new Body(response.body(), silence.toMillis()));
        } catch (InterruptedException interrupted) {
            throw new StemSplitterException.Aborted();
        }
    }

    /**
     * Sends a request until it succeeds. Responses 429 are always repeated; lost connections and errors of the server
     * only if it is repeatable. The reader may change the headers of the next attempt.
     */
    <T> T request(
            String method, String url, Map<String, String> headers, String body, boolean isRepeatable, Reader<T> reader) {
        for (int attempt = 1; ; attempt++) {
            StemSplitterException error;
            boolean isTemporary = isRepeatable;
            BodyPublisher content = body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body);
            try (Answer answer = send(method, url, headers, content, timeout)) {
                if (answer.status() < 400) return reader.read(answer);
                error = answer.error();
                // 409: the server is doing it for the same idempotency key
                isTemporary = answer.status() == 429 || (answer.status() == 409 && answer.retryAfter() != null)
                    || (isRepeatable && RETRIED.contains(answer.status()));
            } catch (FileSystemException local) {
                throw new UncheckedIOException(local);
            } catch (IOException lost) {
                error = lost(method + " " + url, lost);
            }
            error.attempts = attempt;
            boolean isTooLong = error.retryAfter != null && error.retryAfter > MAX_RETRY_AFTER_S;
            if (!isTemporary || isTooLong || attempt > maxRetries) throw error;
            pause(attempt, error);
        }
    }

    /** Waits before the next attempt, as long as the server asks for, else exponentially longer with jitter. */
    void pause(int attempt, StemSplitterException error) {
        long limit = Math.min(FIRST_DELAY_MS << Math.min(attempt - 1, 10), MAX_DELAY_MS);
        long delay = error.retryAfter != null
            ? error.retryAfter * 1000 : ThreadLocalRandom.current().nextLong(limit / 2, limit + 1);
        LOG.log(System.Logger.Level.DEBUG, "retry {0} in {1} ms: {2}", attempt, delay, error);
        sleep(delay);
    }

    void sleep(long ms) {
        try {
            sleeper.sleep(ms);
        } catch (InterruptedException interrupted) {
            throw new StemSplitterException.Aborted();
        }
    }

    static StemSplitterException lost(String action, IOException cause) {
        if (Thread.currentThread().isInterrupted()) throw new StemSplitterException.Aborted();
        String reason = Objects.requireNonNullElse(cause.getMessage(), cause.getClass().getSimpleName());
        return new StemSplitterException.ConnectionFailed(action + " failed: " + reason + ".", cause);
    }

    /** A body that is closed, and thus fails, when nothing was received for a time. */
    private static final class Body extends FilterInputStream {
        private final long silenceMs;
        private volatile long receivedAt = System.nanoTime();
        private volatile boolean isClosed;

        Body(InputStream in, long silenceMs) {
            super(in);
            this.silenceMs = silenceMs;
            watch();
        }

        private void watch() {
            long left = silenceMs - TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - receivedAt);
            if (isClosed) return;
            if (left > 0) CompletableFuture.delayedExecutor(left, TimeUnit.MILLISECONDS).execute(this::watch);
            else try { in.close(); } catch (IOException alreadyFailed) { isClosed = true; }
        }

        @Override
        public int read(byte[] buffer, int offset, int length) throws IOException {
            int found = in.read(buffer, offset, length);
            receivedAt = System.nanoTime();
            return found;
        }

        @Override
        public void close() throws IOException {
            isClosed = true;
            in.close();
        }
    }
}
