/* The header of 0.1.0 and the one of today together: what the old one declares, the new one must declare alike. */
#include "0.1/mimi.h"

/* the only number that a release within 0.1 may change */
#undef MIMI_VERSION_PATCH
#undef MIMI_H
/* macros without a value, or for compilers */
#undef MIMI_API
#undef MIMI_NODISCARD
#include "../../include/mimi.h"
