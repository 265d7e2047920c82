package io.github.stemsplitter;

import java.net.http.HttpRequest.*;
import java.nio.charset.*;
import java.nio.file.*;
import java.time.*;

import java.io.*;
import java.util.*;
import java.util.function.*;


/**
 * Jobs of one kind. All kinds have the same life: queued, processing, then succeeded or failed. Mixes can be neither
 * canceled nor deleted: they end with their split.
 */
public final class Jobs extends Collection {
    private final boolean hasEvents;

    Jobs(StemSplitter client, String path, boolean hasEvents) {
        super(client, path);
        this.hasEvents = hasEvents;
    }

    /** Creates a job, such as {@code Map.of("input", upload.input(), "stemModel", "4s")}, once even if repeated. */
    public Data create(Map<String, ?> request) { return create(request, UUID.randomUUID().toString()); }

    public Data create(Map<String, ?> request, String key) { return client.call("POST", path, request, key, true); }

    /** Waits up to five minutes. */
    public Data await(String id) { return await(id, Duration.ofMinutes(5), null); }

    /**
     * Returns the job when it has succeeded or failed. Uses events, and polls where they are not available.
     *
     * @param onUpdate called with the job at first and when its status or progress changes; may be null. An exception
     *     in it ends the wait.
     * @throws StemSplitterException with the code {@code TIMEOUT} if it has not ended in time; it goes on.
     */
    public Data await(String id, Duration timeout, Consumer<Data> onUpdate) {
        return await(id, timeout, Duration.ofSeconds(2), onUpdate);
    }

    Data await(String id, Duration timeout, Duration interval, Consumer<Data> onUpdate) {
        return new Waiting(hasEvents ? at(id) + "/events" : null, timeout, onUpdate).run(() -> get(id), interval);
    }

    /** Cancels a job. It fails with the code {@code CANCELED}, and its credits are refunded. */
    public Data cancel(String id) {
        try {
            return client.call("POST", at(id) + "/cancel", null, null, true);
        } catch (StemSplitterException.Conflict error) {
            if (error.attempts > 1) { // the first response was lost
                Data job = get(id);
                if ("CANCELED".equals(job.object("error").text("code"))) return job;
            }
            throw error;
        }
    }

    /** Deletes an ended job with its files. */
    public Data delete(String id) { return remove(id); }

    public Map<String, Path> download(String id, Path folder) { return download(get(id), folder); }

    /**
     * Downloads all files of a succeeded job into a folder. They appear together, when all are complete.
     *
     * @return the path of each file by its name, such as {@code folder/vocals.mp3}.
     */
    public Map<String, Path> download(Data job, Path folder) {
        Data links = job.object("stems").isEmpty() ? job.object("outputs") : job.object("stems");
        if (links.isEmpty() && job.text("url") != null) links = new Data(Map.of("mix", job.text("url")));
        if (!"succeeded".equals(job.status()) || links.isEmpty()) {
            String why = Objects.requireNonNullElse(job.object("error").text("message"), "its status is " + job.status());
            throw Transfers.failed(job.id() + " has no files: " + why, null);
        }
        return Transfers.files(client.http, links.asMap(), folder);
    }

    /** Waiting for the end of a job: server-sent events, and polling where they fail. */
    private final class Waiting {
        private static final long SILENCE_MS = 40_000; // the server sends a comment every 15 seconds

        private final long deadline;
        private final Consumer<Data> onUpdate;
        private String eventsPath; // null if there are no events
        private List<Object> last;

        Waiting(String eventsPath, Duration timeout, Consumer<Data> onUpdate) {
            this.eventsPath = eventsPath;
            this.deadline = System.nanoTime() + timeout.toNanos();
            this.onUpdate = onUpdate;
        }

        /** Returns the job when it has ended. Lost connections and a restart of the server do not end the wait. */
        Data run(Supplier<Data> get, Duration interval) {
            while (true) {
                Data ended = eventsPath != null && leftMs() > 0 ? followEvents() : null;
                if (ended == null) ended = poll(get);
                if (ended != null) return ended;
                if (leftMs() <= 0) throw new StemSplitterException("TIMEOUT", "The job has not ended in time.", null);
                client.http.sleep(Math.max(0, Math.min(interval.toMillis(), leftMs())));
            }
        }

        private Data poll(Supplier<Data> get) {
            try {
                return seen(get.get());
            } catch (StemSplitterException.ConnectionFailed | StemSplitterException.ServerFailed
                    | StemSplitterException.RateLimited restarting) {
                return null; // the next poll finds the server
            }
        }

        private Data followEvents() {
            Map<String, String> headers = client.headers("text/event-stream");
            Duration silence = Duration.ofMillis(Math.max(100, Math.min(SILENCE_MS, leftMs())));
            try (Http.Answer answer = client.http.send(
                    "GET", client.url(eventsPath), headers, BodyPublishers.noBody(), silence)) {
                if (answer.headers().getOrDefault("content-type", "").contains("text/event-stream")) {
                    return read(new BufferedReader(new InputStreamReader(answer.body(), StandardCharsets.UTF_8)));
                }
                if (answer.status() != 401 && answer.status() != 429 && answer.status() < 500) eventsPath = null;
            } catch (IOException | IllegalArgumentException lost) {
                if (Thread.currentThread().isInterrupted()) throw new StemSplitterException.Aborted();
            }
            return null;
        }

        private Data read(BufferedReader lines) throws IOException {
            StringBuilder data = new StringBuilder();
            for (String line = lines.readLine(); line != null && leftMs() > 0; line = lines.readLine()) {
                if (line.startsWith("data:")) {
                    data.append(line.substring(5));
                } else if (line.isEmpty() && data.length() > 0) {
                    Data ended = seen(new Data(Json.parse(data.toString())));
                    if (ended != null) return ended;
                    data.setLength(0);
                }
            }
            return null;
        }

        /** Reports a change. Returns the job if it has ended. */
        private Data seen(Data job) {
            List<Object> state = Arrays.asList(job.status(), job.progress());
            if (!state.equals(last) && onUpdate != null) onUpdate.accept(job);
            last = state;
            return "succeeded".equals(job.status()) || "failed".equals(job.status()) ? job : null;
        }

        private long leftMs() { return (deadline - System.nanoTime()) / 1_000_000; }
    }
}
