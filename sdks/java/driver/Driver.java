package io.github.stemsplitter;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Driver of the conformance suite: see sdks/conformance/PROTOCOL.md. */
final class Driver {
    private static final List<Double> slept = new ArrayList<>();
    private static StemSplitter client;

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            slept.clear();
            Map<String, Object> result = new LinkedHashMap<>();
            try {
                result.put("ok", run(new Data(Json.parse(line))));
            } catch (StemSplitterException error) {
                result.put("error", told(error));
            }
            result.put("slept", slept);
            out.println(Json.write(result));
        }
    }

    private static Object run(Data c) {
        List<Object> updates = new ArrayList<>();
        String kind = c.text("kind") == null ? "splits" : c.text("kind");
        Jobs jobs = client == null ? null : switch (kind) {
            case "analyses" -> client.analyses();
            case "effects" -> client.effects();
            case "speech" -> client.speech();
            case "mixes" -> client.mixes(c.text("split"));
            default -> client.splits();
        };
        Duration timeout = Duration.ofSeconds(c.number("timeout") == null ? 0 : c.number("timeout"));
        Integer bitrate = c.text("bitrate") == null ? null : Integer.valueOf(c.text("bitrate"));
        StemSplitter.Form form = new StemSplitter.Form(c.text("format"), c.text("bitDepth"), bitrate);
        if (c.text("op").equals("list") && kind.equals("deliveries")) return ids(client.deliveries(), c);
        return switch (c.text("op")) {
            case "new" -> start(c);
            case "credits" -> client.credits().asMap();
            case "models" -> told(client.models());
            case "voices" -> told(client.voices());
            case "create" -> (c.text("idempotencyKey") == null
                ? jobs.create(c.object("request").asMap())
                : jobs.create(c.object("request").asMap(), c.text("idempotencyKey"))).asMap();
            case "get" -> (kind.equals("deliveries") ? client.deliveries() : jobs).get(c.id()).asMap();
            case "chords" -> {
                Data job = jobs.get(c.id());
                yield told((kind.equals("analyses") ? job : job.object("analysis")).objects("chords"));
            }
            case "wait" -> Map.of(
                "job", jobs.await(c.id(), timeout, job -> updates.add(job.progress())).asMap(), "updates", updates);
            case "list" -> ids(jobs, c);
            case "cancel" -> jobs.cancel(c.id()).asMap();
            case "delete" -> jobs.delete(c.id()).asMap();
            case "upload" -> upload(c, updates);
            case "download" -> jobs.download(c.id(), Path.of(c.text("folder")));
            case "stem" -> client.downloadStem(c.id(), c.text("name"), Path.of(c.text("path")), form, timeout);
            case "archive" -> client.downloadArchive(c.id(), Path.of(c.text("path")), form, timeout);
            case "cover" -> client.downloadCover(c.id(), Path.of(c.text("path")));
            case "peaks" -> client.peaks(c.id(), c.text("resolution")).asMap();
            case "previews" -> client.previews(c.id(), c.text("codec")).asMap();
            case "rotate" -> client.rotateWebhookSecret();
            case "test_webhook" -> client.sendTestWebhook(c.text("url")).asMap();
            case "secrets" -> told(client.webhookSecrets());
            case "replay" -> client.replayDelivery(c.id()).asMap();
            case "create_endpoint" -> client.webhookEndpoints().create(c.object("request").asMap()).asMap();
            case "get_endpoint" -> client.webhookEndpoints().get(c.id()).asMap();
            case "list_endpoints" -> told(client.webhookEndpoints().list());
            case "update_endpoint" -> client.webhookEndpoints().update(c.id(), c.object("request").asMap()).asMap();
            case "delete_endpoint" -> client.webhookEndpoints().delete(c.id()).asMap();
            case "rotate_endpoint" -> client.webhookEndpoints().rotateSecret(c.id());
            case "test_endpoint" -> client.webhookEndpoints().sendTest(c.id()).asMap();
            case "verify" -> verify(c).asMap();
            default -> throw new IllegalArgumentException(c.text("op"));
        };
    }

    private static List<Map<String, Object>> told(List<Data> found) { return found.stream().map(Data::asMap).toList(); }

    private static List<String> ids(Collection objects, Data c) {
        Map<String, String> filters = new LinkedHashMap<>();
        for (String name : List.of("status", "splitId", "endpointId"))
            if (c.text(name) != null) filters.put(name, c.text(name));
        return objects.all(filters).map(Data::id).toList();
    }

    private static Object start(Data c) {
        boolean isFast = Boolean.TRUE.equals(c.asMap().get("isFast"));
        StemSplitter.Builder options = StemSplitter.builder().apiKey(c.text("apiKey")).baseUrl(c.text("baseUrl"))
            .sleeper(ms -> {
                slept.add(ms / 1000.0);
                if (!isFast) Thread.sleep(ms);
            });
        if (c.number("chunkBytes") != null) options.chunkBytes(c.number("chunkBytes").intValue());
        client = options.build();
        return null;
    }

    private static Object upload(Data c, List<Object> sent) {
        Path path = Path.of(c.text("path"));
        String name = c.text("filename") == null ? path.getFileName().toString() : c.text("filename");
        StemSplitter.Upload upload = client.upload(path, name, (bytes, size) -> sent.add(bytes));
        Map<String, Object> fields = new LinkedHashMap<>(Map.of("input", upload.input(), "uploadId", upload.uploadId(),
            "fileUrl", upload.fileUrl(), "storageKey", upload.storageKey()));
        fields.put("expiresAt", upload.expiresAt());
        return Map.of("upload", fields, "progress", sent);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Data verify(Data c) {
        Object headers = c.asMap().get("headers");
        Map<String, String> given =
            headers instanceof String text ? Map.of("AIStemSplitter-Signature", text) : (Map) headers;
        Duration tolerance = Duration.ofSeconds(c.number("tolerance") == null ? 300 : c.number("tolerance"));
        Instant now = c.number("now") == null ? Instant.now() : Instant.ofEpochSecond(c.number("now"));
        return Webhooks.verify(c.text("body").getBytes(StandardCharsets.UTF_8), given, c.text("secret"), tolerance, now);
    }

    private static Map<String, Object> told(StemSplitterException error) {
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("code", error.getCode());
        told.put("status", error.getStatusCode());
        told.put("message", error.getMessage());
        told.put("requestId", error.getRequestId());
        told.put("docUrl", error.getDocUrl());
        told.put("param", error.getParam());
        told.put("retryAfter", error.getRetryAfter());
        if (error instanceof StemSplitterException.InsufficientCredits credits) {
            told.put("requiredSeconds", credits.getRequiredSeconds());
            told.put("balance", credits.getBalance());
        }
        return told;
    }
}
