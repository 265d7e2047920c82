/** Base of all errors of the client; its fields are described in index.d.ts. */
export class StemSplitterError extends Error {
  static code = 'API_ERROR';

  constructor(message, status = 0, code = new.target.code, details = undefined, options = undefined) {
    super(message, options);
    this.name = new.target.name;
    this.status = status;
    this.code = code;
    this.details = details;
    this.attempts = 1;
    const { requestId, docUrl, param, requiredSeconds, balance } = Object(details?.error);
    Object.assign(this, { requestId, docUrl, param, requiredSeconds, balance });
  }
}

/** An error without a response. */
class LocalError extends StemSplitterError {
  constructor(message, cause) { super(message, 0, new.target.code, undefined, { cause }); }
}

export class ConfigError extends LocalError { static code = 'CONFIG_ERROR'; }
export class ConnectionFailed extends LocalError { static code = 'CONNECTION_ERROR'; }
export class Aborted extends LocalError { static code = 'ABORTED'; }
export class WaitTimeout extends LocalError { static code = 'TIMEOUT'; }
export class DownloadError extends LocalError { static code = 'DOWNLOAD_ERROR'; }
export class UploadError extends LocalError { static code = 'UPLOAD_ERROR'; }
export class InvalidSignature extends LocalError { static code = 'INVALID_SIGNATURE'; }

export class AuthenticationError extends StemSplitterError {}
export class InsufficientCredits extends StemSplitterError {}
export class NotFound extends StemSplitterError {}
export class Conflict extends StemSplitterError {}
export class ValidationError extends StemSplitterError {}
export class RateLimited extends StemSplitterError {}
export class ServerError extends StemSplitterError {}

const CLASSES = {
  400: ValidationError, 401: AuthenticationError, 402: InsufficientCredits, 404: NotFound, 409: Conflict,
  410: ValidationError, 413: ValidationError, 415: ValidationError, 422: ValidationError, 429: RateLimited,
};

/** Return the error of a response: in the envelope, flat as of upload URLs, or of a proxy. */
export function errorOf(status, body, retryAfter) {
  let error = body?.error;
  if (typeof error === 'string') error = { code: error, message: body.message ?? error };
  const message = error?.message ?? `The request failed with status ${status}.`;
  const Kind = CLASSES[status] ?? (status >= 500 ? ServerError : StemSplitterError);
  const made = new Kind(message, status, error?.code ?? 'HTTP_ERROR', body);
  if (retryAfter !== undefined) made.retryAfter = retryAfter;
  return made;
}
