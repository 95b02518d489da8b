/* Folders of Windows users: names in several scripts, with spaces and parentheses, longer than 260 characters.
 * paths MODEL WORK: MODEL is a file with its config inside, WORK a folder to write in. */
#include "../../c/fixture.h"
#include <windows.h>

/* The beginning of names that Windows takes as they are, however long. */
#define AS_IT_IS L"\\\\?\\"

static void utf8(const wchar_t *wide, char *path, int room) {
    CHECK(WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, room, NULL, NULL) > 0);
}

static void loads(const char *path) {
    mimi_model *model = NULL;
    OK(mimi_load(path, NULL, &model));
    mimi_free(model);
}

/* Makes a folder in `path`, and makes that its path. */
static void enter(wchar_t *path, const wchar_t *name) {
    CHECK(wcslen(path) + wcslen(name) + 1 < 2000);
    wcscat(wcscat(path, L"\\"), name);
    CHECK(CreateDirectoryW(path, NULL) || GetLastError() == ERROR_ALREADY_EXISTS);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    size_t len;
    unsigned char *bytes = read_file(argv[1], &len);
    wchar_t folder[2048] = AS_IT_IS, work[1024];
    CHECK(MultiByteToWideChar(CP_ACP, 0, argv[2], -1, work, 1024) > 0);
    CHECK(GetFullPathNameW(work, 1024, folder + wcslen(AS_IT_IS), NULL) > 0);
    const wchar_t *names[] = {L"\u7530\u4e2d\u3000\u592a\u90ce", L"\u0417\u0430\u0433\u0440\u0443\u0437\u043a\u0438",
                              L"\u00e9 (1)"};
    for (int i = 0; i < 3; i++)
        enter(folder, names[i]);

    char path[8192];
    for (int round = 0; round < 2; round++) {
        wchar_t file[2048];
        wcscat(wcscpy(file, folder), L"\\model.safetensors");
        FILE *out = _wfopen(file, L"wb");
        CHECK(out && fwrite(bytes, 1, len, out) == len && fclose(out) == 0);
        /* the file and its folder, by a name as it is and by a usual one */
        for (int usual = 0; usual < 2; usual++) {
            size_t skipped = usual ? wcslen(AS_IT_IS) : 0;
            utf8(file + skipped, path, sizeof path);
            loads(path);
            utf8(folder + skipped, path, sizeof path);
            loads(path);
            /* a file that is not there is named in UTF-8 */
            mimi_model *model = NULL;
            strcat(path, "\\\xe7\x94\xb0\xc3\xa9.safetensors");
            STATUS(MIMI_ERR_IO, mimi_load(path, NULL, &model));
            CHECK(!model && strstr(mimi_last_error(), "\xe7\x94\xb0\xc3\xa9.safetensors"));
            CHECK(strstr(mimi_last_error(), "\xd0\x97\xd0\xb0\xd0\xb3\xd1\x80\xd1\x83\xd0\xb7\xd0\xba\xd0\xb8"));
        }
        /* the second time longer than Windows takes without being asked */
        while (round == 0 && wcslen(folder) < 300)
            enter(folder, L"a folder with a long name, as archives make them");
    }

    /* what a code page has in place of UTF-8: the first name in 936 */
    mimi_model *model = NULL;
    STATUS(MIMI_ERR_INVALID_ARGUMENT, mimi_load("C:\\\xcc\xef\xd6\xd0\\model", NULL, &model));
    CHECK(!model && strstr(mimi_last_error(), "path is not UTF-8"));
    free(bytes);
    return 0;
}
