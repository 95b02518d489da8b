/* Counts the calls of libc that real-time code must not make, and those that a silent library never
   makes, while a watch is on. */
#ifndef INTERPOSER_H
#define INTERPOSER_H

enum watch { WATCH_NOTHING, WATCH_REAL_TIME, WATCH_SILENCE };

extern volatile enum watch interposer_watch;

/* Prints what was counted by name, and returns the number of calls. */
int interposer_report(const char *title, int print);
/* Calls of one function. */
int interposer_calls(const char *name);

#endif
