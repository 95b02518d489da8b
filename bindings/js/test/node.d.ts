// What types.ts uses of Node, so that it is checked without the types of all of Node.
declare module 'node:assert/strict' {
    function ok(value: unknown): asserts value;
    const assert: {
        ok: typeof ok;
        equal(found: unknown, expected: unknown): void;
        deepEqual(found: unknown, expected: unknown): void;
        throws(call: () => unknown, type: unknown): void;
        rejects(promise: Promise<unknown>, type: unknown): Promise<void>;
        fail(): never;
    };
    export default assert;
}
declare const process: { argv: string[] };
