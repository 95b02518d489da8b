// Failures: a status of mimi.h, and what exactly went wrong.

export const Status = Object.freeze({
    NULL_POINTER: -1,
    INVALID_ARGUMENT: -2,
    BUFFER_TOO_SMALL: -3,
    IO: -4,
    FORMAT: -5,
    CORRUPT: -6,
    UNSUPPORTED: -7,
    OUT_OF_MEMORY: -8,
    ABORTED: -9,
    STATE: -10,
    PANIC: -11,
});

const names = new Map(Object.entries(Status).map(([name, status]) => [status, name]));

export class MimiError extends Error {
    constructor(status, message, options) {
        super(message, options);
        this.name = 'MimiError';
        this.status = status;
        this.code = `MIMI_ERR_${names.get(status) ?? status}`;
    }
}

/** What a message says was found in place of an argument. */
export function found(value) {
    if (typeof value === 'string') return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value === 'symbol' || typeof value === 'function') return `a ${typeof value}`;
    if (typeof value !== 'object' || value === null) return String(value);
    const kind = Object.prototype.toString.call(value).slice(8, -1);
    return /^[AEIO]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}

export function invalid(message) {
    return new MimiError(Status.INVALID_ARGUMENT, message);
}
