/* The header of 0.1.0 and the one of today together: what the old one declares, the new one must declare alike. */
#include "0.1/mimi.h"

/* the only number that a release within 0.1 may change */
#undef MIMI_VERSION_PATCH
#undef MIMI_H
/* macros without a value, or for compilers */
#undef MIMI_API
#undef MIMI_NODISCARD
/* a struct cannot be declared twice; it may grow at its end */
#define mimi_token_header today_token_header
#define mimi_model_header today_model_header
#define mimi_pack_header today_pack_header
#define mimi_unpack_header today_unpack_header
#define mimi_header_samples today_header_samples
#include "../../include/mimi.h"
#undef mimi_token_header

#ifdef __cplusplus
#define _Static_assert static_assert
#endif
#define SAME(member)                                                                                        \
    _Static_assert(offsetof(mimi_token_header, member) == offsetof(today_token_header, member) &&           \
                       sizeof(((mimi_token_header *)0)->member) == sizeof(((today_token_header *)0)->member), \
                   #member)
SAME(size);
SAME(sample_rate);
SAME(frame_samples);
SAME(n_samples);
SAME(codebooks);
SAME(code_bits);
SAME(model_id);
SAME(header_bytes);
SAME(original_rate);
SAME(original_samples);
_Static_assert(sizeof(mimi_token_header) <= sizeof(today_token_header), "it shrank");
