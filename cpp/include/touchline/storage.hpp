// A zeroed array of plain data that can grow without throwing.
//
// The one place where the core asks for memory. Indexes into it stay valid when it grows; pointers do not, so nothing
// keeps a pointer across a `grow`. Memory starts at a cache line and is touched when it is had, so that no message pays
// for a page fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "touchline/pages.hpp"

namespace touchline {

/// Fetches a line of cache that will be needed. A compiler takes a function that does nothing else for one that does
/// nothing, and drops its calls; the empty statement keeps it from that.
[[gnu::always_inline]] inline void fetch_line(const void* at) noexcept {
    __builtin_prefetch(at, 1);
    asm volatile("" : : "r"(at));
}

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
    ~Storage() noexcept { Pages::give(data_, bytes()); }

    /// Makes room for `size` items, the new ones zero. False, and nothing changed, when the memory cannot be had.
    [[nodiscard]] bool grow(std::size_t size) noexcept {
        if (size <= size_) {
            return true;
        }
        if (size > Pages::kMost / sizeof(T)) {
            return false;
        }
        void* const memory = Pages::take(size * sizeof(T));
        if (memory == nullptr) {
            return false;
        }
        T* const data = static_cast<T*>(memory);
        if (size_ != 0) {
            std::memcpy(memory, data_, size_ * sizeof(T));
        }
        std::memset(static_cast<void*>(data + size_), 0, (size - size_) * sizeof(T));
        Pages::give(data_, bytes());
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
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace touchline
