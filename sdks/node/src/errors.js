/** Base of all errors of the client; its fields are described in index.d.ts. */
export class StemSplitterError extends Error {
  constructor(message, status = 0, code = 'API_ERROR', details = undefined, options = undefined) {
    super(message, options);
    this.name = new.target.name;
    this.status = status;
    this.code = code;
    this.details = details;
    this.attempts = 1;
    const error = details?.error;
    if (error && typeof error === 'object') {
      for (const field of ['requestId', 'docUrl', 'param', 'requiredSeconds', 'balance']) {
        if (field in error) this[field] = error[field];
      }
    }
  }
}

export class ConfigError extends StemSplitterError {
  constructor(message) { super(message, 0, 'CONFIG_ERROR'); }
}

export class ConnectionFailed extends StemSplitterError {
  constructor(message, cause) { super(message, 0, 'CONNECTION_ERROR', undefined, { cause }); }
}

export class Aborted extends StemSplitterError {
  constructor(cause) { super('The call was aborted.', 0, 'ABORTED', undefined, { cause }); }
}

export class WaitTimeout extends StemSplitterError {
  constructor(message) { super(message, 0, 'TIMEOUT'); }
}

export class DownloadError extends StemSplitterError {
  constructor(message, cause) { super(message, 0, 'DOWNLOAD_ERROR', undefined, { cause }); }
}

export class InvalidSignature extends StemSplitterError {
  constructor(message) { super(message, 0, 'INVALID_SIGNATURE'); }
}

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
  const error = body?.error;
  let message = `The request failed with status ${status}.`;
  let code = 'HTTP_ERROR';
  if (error && typeof error === 'object') {
    message = error.message ?? message;
    code = error.code ?? code;
  } else if (typeof error === 'string') {
    message = body.message ?? error;
    code = error;
  }
  const Kind = CLASSES[status] ?? (status >= 500 ? ServerError : StemSplitterError);
  const made = new Kind(message, status, code, body);
  if (retryAfter !== undefined) made.retryAfter = retryAfter;
  return made;
}
