package io.github.stemsplitter;

import java.time.*;
import java.util.*;

/** The methods of other clients of this API, beside all of {@link StemSplitter}. */
public final class AIStemSplitterClient extends StemSplitter {
    public AIStemSplitterClient(String apiKey, String baseUrl) { super(builder().apiKey(apiKey).baseUrl(baseUrl)); }

    public AIStemSplitterClient(String apiKey, String baseUrl, Sleeper sleeper) {
        super(builder().apiKey(apiKey).baseUrl(baseUrl).sleeper(sleeper));
    }

    public record Credits(long balance, String unit) {}

    public record AudioUpload(String uploadId, String uploadUrl, Map<String, Object> uploadHeaders, String expiresAt) {}

    public record UploadedAudio(String uploadId, String fileUrl, String storageKey) {}

    public record CreatedSplit(String id, String status, long creditsUsed, String createdAt) {}

    /** A split; {@code stems} is empty until it has succeeded, {@code error} is empty unless it has failed. */
    public record AudioSplit(String id, String status, String stemModel, String filename, long durationSeconds,
            long creditsUsed, Map<String, Object> stems, Data error) {}

    /** The song of a split. */
    public record SplitInput(Map<String, String> fields) {
        public static SplitInput directUrl(String u) { return new SplitInput(Map.of("type", "direct_url", "url", u)); }

        public static SplitInput uploadedFile(UploadedAudio song) {
            return new SplitInput(new Upload(song.uploadId(), song.fileUrl(), song.storageKey(), null).input());
        }
    }

    /** A request; null for the defaults. */
    public record CreateSplitRequest(SplitInput input, String stemModel, String outputFormat, String webhookUrl) {}

    public Credits getCredits() {
        Data found = credits();
        return new Credits(found.number("balance"), found.text("unit"));
    }

    public AudioUpload createUpload(String filename, String contentType, long contentLength) {
        Data made = reserve(filename, contentType, contentLength);
        return new AudioUpload(made.text("uploadId"), made.text("uploadUrl"),
            made.object("uploadHeaders").asMap(), made.text("expiresAt"));
    }

    public UploadedAudio uploadAudio(byte[] song, String filename, String contentType) {
        Upload made = upload(song, filename, contentType);
        return new UploadedAudio(made.uploadId(), made.fileUrl(), made.storageKey());
    }

    public CreatedSplit createSplit(CreateSplitRequest request) { return createSplit(request, null); }

    public CreatedSplit createSplit(CreateSplitRequest request, String idempotencyKey) {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("input", request.input().fields());
        if (request.stemModel() != null) body.put("stemModel", request.stemModel());
        if (request.outputFormat() != null) body.put("outputFormat", request.outputFormat());
        if (request.webhookUrl() != null) body.put("webhookUrl", request.webhookUrl());
        Data made = idempotencyKey == null ? splits().create(body) : splits().create(body, idempotencyKey);
        return new CreatedSplit(made.id(), made.status(), made.number("creditsUsed"), made.text("createdAt"));
    }

    public AudioSplit getSplit(String id) { return split(splits().get(id)); }

    /** Waits up to five minutes. */
    public AudioSplit waitForSplit(String id) { return waitForSplit(id, 300_000, 2000); }

    public AudioSplit waitForSplit(String id, long timeoutMs, long intervalMs) {
        return split(splits().await(id, Duration.ofMillis(timeoutMs), Duration.ofMillis(intervalMs), null));
    }

    private static AudioSplit split(Data d) {
        return new AudioSplit(d.id(), d.status(), d.text("stemModel"), d.text("filename"),
            d.number("durationSeconds"), d.number("creditsUsed"), d.object("stems").asMap(), d.object("error"));
    }
}
