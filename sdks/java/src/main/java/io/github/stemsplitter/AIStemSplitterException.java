package io.github.stemsplitter;

/** The name that other clients of this API give their error. All errors are {@link StemSplitterException}. */
@SuppressWarnings("serial")
public abstract class AIStemSplitterException extends RuntimeException {
    public abstract int getStatusCode();

    public abstract String getCode();
}
