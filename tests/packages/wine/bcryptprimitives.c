/*
 * A bcryptprimitives.dll for Wine, which in Debian 12 lacks this part of Windows. Rust's run-time takes the seeds of
 * hash tables from the one function here.
 */
#include <windows.h>

#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length);

BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length) { return RtlGenRandom(bytes, (ULONG)length); }
