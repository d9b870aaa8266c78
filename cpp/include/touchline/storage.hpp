// A zeroed array of plain data that can grow without throwing.
//
// The one place where the core asks for memory. Indexes into it stay valid when it grows; pointers do not, so nothing
// keeps a pointer across a `grow`. Memory starts at a cache line and is touched when it is had, so that no message pays
// for a page fault; arrays of megabytes ask for large pages, because a book of a million orders is walked at random.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace touchline {

template <class T>
class Storage {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 64);

public:
    Storage() noexcept = default;
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;
    Storage(Storage&& other) noexcept { swap(other); }
    Storage& operator=(Storage&& other) noexcept {
        swap(other);
        return *this;
    }
    ~Storage() noexcept { std::free(data_); }

    /// Makes room for `size` items, the new ones zero. False, and nothing changed, when the memory cannot be had.
    [[nodiscard]] bool grow(std::size_t size) noexcept {
        if (size <= size_) {
            return true;
        }
        if (size > (SIZE_MAX - kLargePage) / sizeof(T)) {
            return false;
        }
        void* const memory = allocate(size * sizeof(T));
        if (memory == nullptr) {
            return false;
        }
        T* const data = static_cast<T*>(memory);
        if (size_ != 0) {
            std::memcpy(memory, data_, size_ * sizeof(T));
        }
        std::memset(static_cast<void*>(data + size_), 0, (size - size_) * sizeof(T));
        std::free(data_);
        data_ = data;
        size_ = size;
        return true;
    }

    void swap(Storage& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }

    T& operator[](std::size_t at) noexcept { return data_[at]; }
    const T& operator[](std::size_t at) const noexcept { return data_[at]; }
    T* data() noexcept { return data_; }
    const T* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    std::size_t bytes() const noexcept { return size_ * sizeof(T); }

private:
    static constexpr std::size_t kLine = 64;
    static constexpr std::size_t kLargePage = std::size_t{2} << 20;

    static void* allocate(std::size_t bytes) noexcept {
        const std::size_t alignment = bytes >= kLargePage ? kLargePage : kLine;
        void* const memory = std::aligned_alloc(alignment, (bytes + kLine - 1) / kLine * kLine);
#if defined(__linux__)
        if (memory != nullptr && bytes >= kLargePage) {
            // Advice only: without large pages everything still works. The last, partial one is left out.
            (void)::madvise(memory, bytes / kLargePage * kLargePage, MADV_HUGEPAGE);
        }
#endif
        return memory;
    }

    T* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace touchline
