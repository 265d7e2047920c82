package io.github.stemsplitter;

/**
 * Base of all errors of the client.
 *
 * <p>Codes are those of the API, such as {@code NOT_FOUND}; those of the client, {@code CONFIG_ERROR}, {@code
 * CONNECTION_ERROR}, {@code TIMEOUT}, {@code DOWNLOAD_ERROR}, {@code UPLOAD_ERROR}, {@code INVALID_SIGNATURE}, {@code
 * ABORTED}; and {@code HTTP_ERROR} for a response that is not of the API.
 */
@SuppressWarnings("serial")
public class StemSplitterException extends AIStemSplitterException {
    private String message = "The call was interrupted.", code = "ABORTED";
    private int status;
    private transient Data details = new Data(null);
    Long retryAfter;
    int attempts = 1;

    StemSplitterException() {}

    StemSplitterException(String code, String message, Throwable cause) { with(code, message).initCause(cause); }

    StemSplitterException with(String code, String message) {
        this.code = code;
        this.message = message;
        return this;
    }

    @Override
    public String getMessage() { return message; }

    /** Returns the HTTP status; 0 if there was no response. */
    @Override
    public int getStatusCode() { return status; }

    @Override
    public String getCode() { return code; }

    /** Returns the parsed response. */
    public Data getDetails() { return details; }

    /** Returns the id of the request in the server's log. */
    public String getRequestId() { return error().text("requestId"); }

    public String getDocUrl() { return error().text("docUrl"); }

    /** Returns the part of the request that is wrong, such as {@code input.url}. */
    public String getParam() { return error().text("param"); }

    /** Returns the seconds to wait before another request. */
    public Long getRetryAfter() { return retryAfter; }

    Data error() { return details.object("error"); }

    /** Returns the error of a response: in the envelope, flat as of upload URLs, or of a proxy. */
    static StemSplitterException of(Data body, Http.Answer answer) {
        int status = answer.status();
        Data error = body.object("error");
        String flat = body.text("error");
        String message = flat != null ? body.text("message") : error.text("message");
        String code = flat != null ? flat : error.text("code");
        if (message == null) message = flat != null ? flat : "The request failed with status " + status + ".";
        StemSplitterException made = switch (status) {
            case 400, 410, 413, 415, 422 -> new ValidationFailed();
            case 401 -> new AuthenticationFailed();
            case 402 -> new InsufficientCredits();
            case 404 -> new NotFound();
            case 409 -> new Conflict();
            case 429 -> new RateLimited();
            default -> status >= 500 ? new ServerFailed() : new StemSplitterException();
        };
        made.retryAfter = answer.retryAfter();
        made.status = status;
        made.details = body;
        return made.with(code == null ? "HTTP_ERROR" : code, message);
    }

    /** The server could not be reached, or the connection ended early, in all attempts. */
    public static final class ConnectionFailed extends StemSplitterException {
        ConnectionFailed(String message, Throwable cause) { super("CONNECTION_ERROR", message, cause); }
    }

    /** The thread was interrupted; its interrupt status is set. */
    public static final class Aborted extends StemSplitterException {
        Aborted() { Thread.currentThread().interrupt(); }
    }

    /** The API key is missing or invalid (401). */
    public static final class AuthenticationFailed extends StemSplitterException {}

    /** The balance does not cover the song (402). */
    public static final class InsufficientCredits extends StemSplitterException {
        public Long getRequiredSeconds() { return error().number("requiredSeconds"); }

        public Long getBalance() { return error().number("balance"); }
    }

    /** The resource does not exist (404). */
    public static final class NotFound extends StemSplitterException {}

    /** The state does not allow the request (409). */
    public static final class Conflict extends StemSplitterException {}

    /** The request or the song is invalid (400, 410, 413, 415, 422). */
    public static final class ValidationFailed extends StemSplitterException {}

    /** Too many requests (429), also after the retries. */
    public static final class RateLimited extends StemSplitterException {}

    /** The server failed (5xx), also after the retries. */
    public static final class ServerFailed extends StemSplitterException {}
}
