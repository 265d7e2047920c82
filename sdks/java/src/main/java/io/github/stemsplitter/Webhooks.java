package io.github.stemsplitter;

import java.nio.charset.*;
import java.security.*;
import java.time.*;
import java.util.*;
import javax.crypto.*;
import javax.crypto.spec.*;

/** Verification of webhooks. */
public final class Webhooks {
    private static final String HEADER = "aistemsplitter-signature";

    private Webhooks() {}

    /** Verifies a webhook that is at most five minutes old. */
    public static Data verify(byte[] body, Map<String, String> headers, String secret) {
        return verify(body, headers, secret, Duration.ofMinutes(5), Instant.now());
    }

    /**
     * Verifies a webhook and returns its event.
     *
     * @param body the raw body, as received.
     * @param headers the headers of the request; the signatures of both schemes are verified, if present.
     * @param secret the signing secret, {@code whsec_…}.
     * @throws StemSplitterException with the code {@code INVALID_SIGNATURE} if a signature is missing, wrong or too old.
     */
    public static Data verify(byte[] body, Map<String, String> headers, String secret, Duration tolerance, Instant now) {
        if (secret.isEmpty()) throw invalid("The secret is empty.");
        Map<String, String> found = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        headers.forEach((name, value) -> found.put(name, value.strip()));
        String own = found.get(HEADER), standard = found.get("webhook-signature");
        if (own == null && standard == null) throw invalid("The request has no signature.");
        if (own != null) verifyOwn(body, own, secret, tolerance, now);
        if (standard != null) verifyStandard(body, found, secret, tolerance, now);
        try {
            return new Data(Json.parse(new String(body, StandardCharsets.UTF_8)));
        } catch (IllegalArgumentException notJson) {
            throw invalid("The body is not JSON.");
        }
    }

    private static void verifyOwn(byte[] body, String value, String secret, Duration tolerance, Instant now) {
        List<String> times = parts(value, "t="), given = parts(value, "v1=");
        if (times.size() != 1) throw invalid("AIStemSplitter-Signature is malformed.");
        checkAge(times.get(0), tolerance, now);
        byte[] mac = hmac(secret.getBytes(StandardCharsets.UTF_8), times.get(0) + ".", body);
        match(HexFormat.of().formatHex(mac), given);
    }

    private static List<String> parts(String value, String start) {
        return Arrays.stream(value.split(",")).map(String::strip).filter(each -> each.startsWith(start))
            .map(each -> each.substring(start.length())).toList();
    }

    private static void verifyStandard(
            byte[] body, Map<String, String> headers, String secret, Duration tolerance, Instant now) {
        String unix = headers.getOrDefault("webhook-timestamp", "");
        checkAge(unix, tolerance, now);
        byte[] mac;
        try {
            byte[] key = Base64.getDecoder().decode(secret.startsWith("whsec_") ? secret.substring(6) : secret);
            mac = hmac(key, headers.getOrDefault("webhook-id", "") + "." + unix + ".", body);
        } catch (IllegalArgumentException empty) {
            throw invalid("The secret must be whsec_ and base64.");
        }
        match("v1," + Base64.getEncoder().encodeToString(mac), List.of(headers.get("webhook-signature").split("\\s+")));
    }

    private static void checkAge(String unix, Duration tolerance, Instant now) {
        if (!unix.matches("[0-9]{1,11}")) throw invalid("The timestamp is missing or malformed.");
        if (Duration.between(Instant.ofEpochSecond(Long.parseLong(unix)), now).abs().compareTo(tolerance) > 0) {
            throw invalid("The timestamp differs from the time by more than " + tolerance.toSeconds() + " seconds.");
        }
    }

    private static byte[] hmac(byte[] key, String prefix, byte[] body) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            mac.update(prefix.getBytes(StandardCharsets.UTF_8));
            return mac.doFinal(body);
        } catch (GeneralSecurityException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static void match(String expected, List<String> given) {
        byte[] wanted = expected.getBytes(StandardCharsets.UTF_8);
        if (given.stream().noneMatch(each -> MessageDigest.isEqual(wanted, each.getBytes(StandardCharsets.UTF_8)))) {
            throw invalid("No signature matches the body and the secret.");
        }
    }

    private static StemSplitterException invalid(String message) {
        return new StemSplitterException("INVALID_SIGNATURE", message, null);
    }
}
