package io.github.stemsplitter;

import static org.junit.jupiter.api.Assertions.*;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ClientTest {
    private HttpServer server;
    private String url;
    private final List<String> bodies = new ArrayList<>();

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.start();
        url = "http://127.0.0.1:" + server.getAddress().getPort();
    }

    @AfterEach
    void stop() {
        server.stop(0);
    }

    private void answer(String path, String data) {
        server.createContext(path, exchange -> {
            bodies.add(new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
            byte[] body = ("{\"success\": true, \"data\": " + data + "}").getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
    }

    @Test
    void jsonIsWrittenAndParsed() {
        String text = "{\"a\":[1,-2.5,true,null,\"é\\\"𝄞\"],\"b\":{},\"c\":[]}";
        assertEquals(text, Json.write(Json.parse(" " + text.replace("é", "\\u00e9").replace(",", " , ") + "\n")));
        assertEquals("\"\\u000a\"", Json.write(Json.parse("\"\\n\"")));
        for (String wrong : List.of("", "{", "[1,]", "{\"a\"}", "{a:1}", "01", "1 2", "\"\\x\"", "\"\\uzzzz\"", "[".repeat(600))) {
            assertThrows(IllegalArgumentException.class, () -> Json.parse(wrong), wrong);
        }
    }

    @Test
    void missingKeyAndAddressAreTold() {
        var error = assertThrows(AIStemSplitterException.class, () -> StemSplitter.builder().apiKey("k").build());
        assertEquals("CONFIG_ERROR", error.getCode());
        assertTrue(error.getMessage().contains("STEMSPLITTER_URL"));
    }

    @Test
    void refusedConnectionHasAReason() {
        server.stop(0);
        var client = StemSplitter.builder().apiKey("k").baseUrl(url).maxRetries(0).build();
        var error = assertThrows(StemSplitterException.ConnectionFailed.class, client::credits);
        assertTrue(error.getMessage().contains("ConnectException"), error.getMessage());
    }

    @Test
    void namesOfTheOtherClient() {
        answer("/v1/credits", "{\"balance\": 6200, \"unit\": \"seconds\"}");
        answer("/v1/audio/splits", "{\"id\": \"split_1\", \"status\": \"succeeded\", \"creditsUsed\": 3, \"createdAt\": \"t\","
            + " \"durationSeconds\": 3, \"stems\": {\"vocals\": \"https://a.test/v.mp3\"}, \"error\": null}");
        var client = new AIStemSplitterClient("k", url);
        assertEquals(new AIStemSplitterClient.Credits(6200, "seconds"), client.getCredits());
        var input = AIStemSplitterClient.SplitInput.directUrl("https://a.test/b.mp3");
        var request = new AIStemSplitterClient.CreateSplitRequest(input, "4s", null, null);
        assertEquals("split_1", client.createSplit(request).id());
        assertFalse(bodies.get(1).contains("outputFormat"));
        var split = client.waitForSplit("split_1", 1000, 10);
        assertEquals(Map.of("vocals", "https://a.test/v.mp3"), split.stems());
        assertTrue(split.error().isEmpty());
    }

    @Test
    void futureIsCompletedAndItsCancelInterruptsTheCall() throws Exception {
        answer("/v1/credits", "{\"balance\": 1}");
        var client = StemSplitter.builder().apiKey("k").baseUrl(url).build();
        assertEquals(1, client.async(StemSplitter::credits).get().number("balance"));
        var interrupted = new CountDownLatch(1);
        var sleeping = new CountDownLatch(1);
        var future = client.async(c -> {
            try {
                sleeping.countDown();
                Thread.sleep(60_000);
                return null;
            } catch (InterruptedException error) {
                interrupted.countDown();
                throw new IllegalStateException(error);
            }
        });
        sleeping.await();
        future.cancel(true);
        interrupted.await();
        assertThrows(CancellationException.class, future::get);
    }

    @Test
    void interruptEndsAWait() {
        answer("/v1/audio/splits/split_1", "{\"id\": \"split_1\", \"status\": \"queued\", \"progress\": 0}");
        var client = StemSplitter.builder().apiKey("k").baseUrl(url).build();
        var error = assertThrows(StemSplitterException.Aborted.class, () -> client.splits().await(
            "split_1", Duration.ofMinutes(1), split -> Thread.currentThread().interrupt()));
        assertEquals("ABORTED", error.getCode());
        assertTrue(Thread.interrupted());
    }

    @Test
    void silentServerEndsTheCall() {
        var release = new CountDownLatch(1);
        server.createContext("/v1/credits", exchange -> {
            exchange.sendResponseHeaders(200, 100);
            exchange.getResponseBody().write('{');
            exchange.getResponseBody().flush();
            try {
                release.await();
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
            exchange.close();
        });
        var client = StemSplitter.builder().apiKey("k").baseUrl(url).timeout(Duration.ofMillis(300)).maxRetries(0).build();
        var error = assertThrows(StemSplitterException.ConnectionFailed.class, client::credits);
        assertEquals(0, error.getStatusCode());
        release.countDown();
    }
}
